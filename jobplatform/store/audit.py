"""The rows of ``audit_log``: who did what, when, from where and why; each is bound to the one before it.

The hash of a row is taken of the hash before it and of all that the row says, so a row that is changed, or missing
between others, shows (S. Haber, W. Stornetta, "How to Time-Stamp a Digital Document", J. Cryptology 3, 1991).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from jobplatform.store.database import Transaction
from jobplatform.store.statement import Statement

Row = Mapping[str, Any]

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
#: Rows are bound to each other one after the other; "audit" in ASCII.
_LOCK = 0x6175646974

_HASH = """sha256(convert_to(jsonb_build_array(
        encode({0}previous, 'hex'), to_char({0}at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US'), {0}actor, {0}via,
        {0}address, {0}action, {0}about, {0}outcome, {0}reason
    )::text, 'UTF8'))"""


@dataclass(frozen=True, slots=True)
class Deed:
    """What somebody did, or was refused.

    :param about: what it was done to, and how: ids, a filter, values.
    :param outcome: what came of it, such as counts.
    """

    actor: str
    via: str
    action: str
    address: str | None = None
    about: Mapping[str, Any] = field(default_factory=dict)
    outcome: Mapping[str, Any] = field(default_factory=dict)
    reason: str | None = None


LOCK_AUDIT = Statement("lock_audit", "select pg_advisory_xact_lock(%(key)s)", {"key": 0})

ADD_DEED = Statement(
    "add_deed",
    f"""
    insert into @audit_log (at, actor, via, address, action, about, outcome, reason, previous, hash)
    select d.*, {_HASH.format("d.")} from (
        select clock_timestamp() as at, %(actor)s::text as actor, %(via)s::text as via, %(address)s::text as address,
            %(action)s::text as action, %(about)s::jsonb as about, %(outcome)s::jsonb as outcome,
            %(reason)s::text as reason, (select hash from @audit_log order by audit_id desc limit 1) as previous
    ) d
    returning audit_id
    """,
    {"actor": "ann", "via": "terminal", "address": None, "action": "jobs.cancel", "about": "{}", "outcome": "{}",
     "reason": None},
)  # fmt: skip

LIST_DEEDS = Statement(
    "list_deeds",
    """
    select audit_id, at, actor, via, address, action, about, outcome, reason, encode(hash, 'hex') as hash
    from @audit_log
    where (%(actor)s::text is null or actor = %(actor)s) and (%(action)s::text is null or action = %(action)s)
        and (%(since)s::timestamptz is null or at >= %(since)s) and (%(until)s::timestamptz is null or at < %(until)s)
        and (%(before)s::bigint is null or audit_id < %(before)s)
    order by audit_id desc limit %(limit)s
    """,
    {"actor": "ann", "action": None, "since": None, "until": _NOW, "before": None, "limit": 50},
)

FIND_BROKEN = Statement(
    "find_broken_deed",
    f"""
    select audit_id, hash = {_HASH.format("")} and previous is not distinct from expected as sound, last from (
        select *, coalesce(lag(hash) over (order by audit_id), %(hash)s::bytea) as expected,
            max(audit_id) over () as last
        from (select * from @audit_log where audit_id > %(after)s order by audit_id limit %(limit)s) part
    ) chained
    order by 2, audit_id limit 1
    """,
    {"after": 0, "hash": None, "limit": 10_000},
)

FIRST_PREVIOUS = Statement(
    "read_first_previous",
    """
    select hash from @audit_seals where audit_id < (select min(audit_id) from @audit_log)
    order by audit_id desc limit 1
    """,
    {},
)

LAST_BEFORE = Statement(
    "last_deed_before",
    """
    select audit_id, hash from @audit_log where audit_id <= (select max(audit_id) - %(rows)s from @audit_log)
    order by audit_id desc limit 1
    """,
    {"rows": 10_000},
)

READ_HASH = Statement("read_audit_hash", "select hash from @audit_log where audit_id = %(audit_id)s", {"audit_id": 1})


def add(transaction: Transaction, deed: Deed) -> int:
    """Add a row; others that add one wait until the transaction has ended. Returns its number."""
    transaction.rows(LOCK_AUDIT, key=_LOCK)
    values = {name: getattr(deed, name) for name in ("actor", "via", "address", "action", "reason")}
    documents = {name: json.dumps(getattr(deed, name), default=str) for name in ("about", "outcome")}
    return int(transaction.rows(ADD_DEED, **values, **documents)[0]["audit_id"])


def listed(
    transaction: Transaction,
    limit: int,
    before: int | None = None,
    actor: str | None = None,
    action: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Sequence[Row]:
    """List rows, newest first.

    :param before: the number of the last row of the page before this one.
    """
    return transaction.rows(
        LIST_DEEDS, actor=actor, action=action, since=since, until=until, before=before, limit=limit
    )


def broken(transaction: Transaction, part: int = 10_000) -> int | None:
    """Name the first row that was changed, or that another stood before; None when there is none.

    :param part: rows that are looked at together.
    """
    after, before = 0, _first_previous(transaction)
    while found := transaction.rows(FIND_BROKEN, after=after, hash=before, limit=part):
        (row,) = found
        if not row["sound"]:
            return int(row["audit_id"])
        after = row["last"]
        before = transaction.rows(READ_HASH, audit_id=after)[0]["hash"]
    return None


def broken_lately(transaction: Transaction, rows: int) -> int | None:
    """Name the first of the last rows that was changed, or that another stood before; None when there is none."""
    found = transaction.rows(LAST_BEFORE, rows=rows)
    after, before = (found[0]["audit_id"], found[0]["hash"]) if found else (0, _first_previous(transaction))
    judged = transaction.rows(FIND_BROKEN, after=after, hash=before, limit=rows)
    return next((int(row["audit_id"]) for row in judged if not row["sound"]), None)


def _first_previous(transaction: Transaction) -> bytes | None:
    """Give the hash that the first row is bound to: that of the last one which was taken out, if any was."""
    found = transaction.rows(FIRST_PREVIOUS)
    return found[0]["hash"] if found else None
