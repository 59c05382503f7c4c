"""The rows of ``limits``, ``queue_orders`` and ``tenant_weights``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jobplatform.limits import Limit
from jobplatform.store.database import Transaction
from jobplatform.store.statement import Statement

PUT_LIMIT = Statement(
    "put_limit",
    """
    insert into @limits (name, slots, rate, burst) values (%(name)s, %(slots)s, %(rate)s, %(burst)s)
    on conflict (name) do update set slots = excluded.slots, rate = excluded.rate, burst = excluded.burst,
        declared = false, updated_at = now()
    """,
    {"name": "queue:celery", "slots": 1, "rate": None, "burst": None},
)

DECLARE_LIMITS = Statement(
    "declare_limits",
    """
    with declared as (
        select * from json_to_recordset(%(rows)s) as r(name text, slots int, rate float8, burst float8)
    ), gone as (
        delete from @limits where declared and name not in (select name from declared)
    )
    insert into @limits (name, slots, rate, burst, declared) select name, slots, rate, burst, true from declared
    on conflict (name) do update set slots = excluded.slots, rate = excluded.rate, burst = excluded.burst,
        updated_at = now()
    where limits.declared and (limits.slots, limits.rate, limits.burst)
        is distinct from (excluded.slots, excluded.rate, excluded.burst)
    """,
    {"rows": "[]"},
)

DROP_LIMITS = Statement(
    "drop_limits",
    "delete from @limits where name = any(%(names)s) returning name",
    {"names": ["queue:celery"]},
)

LIST_LIMITS = Statement(
    "list_limits", "select name, slots, rate, burst, declared, updated_at from @limits order by name", {}
)

PUT_ORDER = Statement(
    "put_order",
    """
    insert into @queue_orders (queue, fair, age_seconds) values (%(queue)s, %(fair)s, %(age_seconds)s)
    on conflict (queue) do update set fair = excluded.fair, age_seconds = excluded.age_seconds
    """,
    {"queue": "celery", "fair": True, "age_seconds": None},
)

LIST_ORDERS = Statement("list_orders", "select queue, fair, age_seconds from @queue_orders order by queue", {})

PUT_WEIGHT = Statement(
    "put_weight",
    """
    insert into @tenant_weights (queue, tenant, weight) values (%(queue)s, %(tenant)s, %(weight)s)
    on conflict (queue, tenant) do update set weight = excluded.weight
    """,
    {"queue": "celery", "tenant": "t", "weight": 1.0},
)

LIST_WEIGHTS = Statement("list_weights", "select queue, tenant, weight from @tenant_weights order by queue, tenant", {})


def put(transaction: Transaction, limit: Limit) -> None:
    """Write a limit; one of that name that is there already, or that code declares, is replaced."""
    transaction.count(PUT_LIMIT, name=limit.name, slots=limit.slots, rate=limit.rate, burst=limit.burst)


def declare(transaction: Transaction, limits: Iterable[Limit]) -> None:
    """Write the limits that code declares, and remove those that it has ceased to; what people wrote stays."""
    rows = [{"name": each.name, "slots": each.slots, "rate": each.rate, "burst": each.burst} for each in limits]
    transaction.count(DECLARE_LIMITS, rows=json.dumps(rows))


def drop(transaction: Transaction, names: Sequence[str]) -> list[str]:
    """Remove limits; names those that there were."""
    return [row["name"] for row in transaction.rows(DROP_LIMITS, names=list(names))]


def list_limits(transaction: Transaction) -> Sequence[Mapping[str, Any]]:
    """List the limits by name."""
    return transaction.rows(LIST_LIMITS)


def put_order(transaction: Transaction, queue: str, fair: bool, age_seconds: float | None) -> None:
    """Say in which order a queue is served.

    :param fair: by tenants and their weights.
    :param age_seconds: after so many seconds what waits is one step more urgent.
    """
    transaction.count(PUT_ORDER, queue=queue, fair=fair, age_seconds=age_seconds)


def put_weight(transaction: Transaction, queue: str, tenant: str, weight: float) -> None:
    """Say how much of a queue a tenant gets, beside others, each of whom weighs 1 if nothing is said."""
    transaction.count(PUT_WEIGHT, queue=queue, tenant=tenant, weight=weight)


def list_orders(transaction: Transaction) -> Sequence[Mapping[str, Any]]:
    """List the queues that are served in an order of their own."""
    return transaction.rows(LIST_ORDERS)


def list_weights(transaction: Transaction) -> Sequence[Mapping[str, Any]]:
    """List the tenants that have a weight."""
    return transaction.rows(LIST_WEIGHTS)


def rules(transaction: Transaction) -> dict[str, str]:
    """Give all of it as the scripts read it."""
    found = {
        row["name"]: Limit(row["name"], row["slots"], row["rate"], row["burst"]).text()
        for row in list_limits(transaction)
    }
    for row in list_orders(transaction):
        if row["fair"]:
            found[f"fair:{row['queue']}"] = "1"
        if row["age_seconds"]:
            found[f"age:{row['queue']}"] = f"{row['age_seconds']:.9g}"
    # Messages carry a tenant as JSON writes it.
    for row in list_weights(transaction):
        found[f"weight:{row['queue']}:{json.dumps(row['tenant'])[1:-1]}"] = f"{row['weight']:.9g}"
    return found
