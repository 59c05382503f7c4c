"""The rows of ``workers``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from jobplatform.store.database import Transaction
from jobplatform.store.statement import Statement

RECORD_WORKERS = Statement(
    "record_workers",
    """
    with seen as materialized (
        select worker_id, name, pid, status, to_timestamp(started_at) as started_at,
            to_timestamp(last_seen_at) as last_seen_at, report
        from json_to_recordset(%(rows)s) as r(worker_id text, name text, pid int, status text, started_at float8,
            last_seen_at float8, report jsonb)
    ), silent as (
        update @workers set status = 'stale'
        where status = 'alive' and last_seen_at < %(stale)s and worker_id not in (select worker_id from seen)
    )
    insert into @workers as w (worker_id, name, pid, status, started_at, last_seen_at, report)
    select worker_id, name, pid, status, started_at, last_seen_at, report from seen
    on conflict (worker_id) do update
    set status = excluded.status, last_seen_at = excluded.last_seen_at, report = excluded.report
    where (w.status, w.last_seen_at) is distinct from (excluded.status, excluded.last_seen_at)
    """,
    {"rows": "[]", "stale": datetime(2026, 1, 1, tzinfo=UTC)},
)

LIST_ALIVE = Statement("list_alive", "select worker_id from @workers where status = 'alive'", {})

LIST_WORKERS = Statement(
    "list_workers",
    """
    select worker_id, name, pid, status, duty, duty_reason, duty_by, duty_since, duty_grace, started_at, last_seen_at,
        report
    from @workers where %(gone)s or status <> 'gone' order by last_seen_at desc limit %(limit)s
    """,
    {"gone": False, "limit": 1},
)

LIST_NAMED = Statement(
    "list_named",
    """
    select worker_id, name, pid, status, duty, duty_reason, duty_by, duty_since, duty_grace, started_at, last_seen_at,
        report
    from @workers where name = any(%(names)s::text[]) order by last_seen_at desc limit 1000
    """,
    {"names": ["w1@host"]},
)

LIST_SKILLS = Statement(
    "list_skills",
    """
    select distinct report->'types' as types, report->'queues' as queues from @workers
    where status = 'alive' and (%(cordoned)s or duty = 'work')
    """,
    {"cordoned": False},
)


def record(transaction: Transaction, rows: Sequence[Mapping[str, Any]], stale: datetime) -> int:
    """Write what all workers said last; one that is not among them and was last seen before ``stale`` is stale."""
    return transaction.count(RECORD_WORKERS, rows=json.dumps(rows), stale=stale)


def alive(transaction: Transaction) -> list[str]:
    """Name the workers that are taken to be alive."""
    return [row["worker_id"] for row in transaction.rows(LIST_ALIVE)]


def list_workers(transaction: Transaction, gone: bool, limit: int) -> Sequence[Mapping[str, Any]]:
    """List workers, the last seen first.

    :param gone: those that have ended as well.
    """
    return transaction.rows(LIST_WORKERS, gone=gone, limit=limit)


def named(transaction: Transaction, names: Sequence[str]) -> Sequence[Mapping[str, Any]]:
    """List the workers of some names, also those that have ended, the last seen first."""
    return transaction.rows(LIST_NAMED, names=list(names))


def skills(transaction: Transaction, cordoned: bool = True) -> list[tuple[list[str] | None, list[str] | None]]:
    """List the (job types, queues) that workers that are alive say they take; None where one does not say.

    :param cordoned: also of workers that are asked to take none.
    """
    return [(row["types"], row["queues"]) for row in transaction.rows(LIST_SKILLS, cordoned=cordoned)]
