"""The rows of ``hungry_types``: job types that take much memory."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from jobplatform.store.database import Transaction
from jobplatform.store.statement import Statement

Row = Mapping[str, Any]

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
#: A type is hungry no longer when it was not found to be for so long. In a lane of its own it soon raises no peak any
#: more, as those of its processes are high already.
_RETENTION = timedelta(days=7)
#: More types are not told to those who submit.
_MOST = 1_000

WRITE_HUNGRY = Statement(
    "write_hungry",
    """
    insert into @hungry_types as h (job_type, queue, needs, usual, raised, deaths, since, found_at)
    select job_type, queue, needs, usual, raised, deaths, %(now)s, %(now)s
    from json_to_recordset(%(rows)s) as r(job_type text, queue text, needs float8, usual float8, raised int, deaths int)
    on conflict (job_type) do update set queue = excluded.queue, needs = excluded.needs, usual = excluded.usual,
        raised = excluded.raised, deaths = excluded.deaths, found_at = excluded.found_at
    returning job_type, since = %(now)s as new
    """,
    {"rows": "[]", "now": _NOW},
)

FORGET_HUNGRY = Statement("forget_hungry", "delete from @hungry_types where found_at < %(before)s", {"before": _NOW})

LIST_HUNGRY = Statement(
    "list_hungry",
    """
    select job_type, queue, needs, usual, raised, deaths, since, found_at from @hungry_types
    order by job_type limit %(limit)s
    """,
    {"limit": _MOST},
)


def write(transaction: Transaction, rows: Sequence[Row], now: datetime) -> set[str]:
    """Write hungry types, and name those that were not known to be.

    :param rows: ``job_type``, ``queue``, ``needs`` and ``usual`` in bytes, ``raised`` and ``deaths``.
    """
    if not rows:
        return set()
    return {row["job_type"] for row in transaction.rows(WRITE_HUNGRY, rows=json.dumps(rows), now=now) if row["new"]}


def forget(transaction: Transaction, now: datetime) -> int:
    """Delete types that were not found to be hungry for long; returns how many."""
    return transaction.count(FORGET_HUNGRY, before=now - _RETENTION)


def known(transaction: Transaction) -> Sequence[Row]:
    """List the hungry types by name."""
    return transaction.rows(LIST_HUNGRY, limit=_MOST)
