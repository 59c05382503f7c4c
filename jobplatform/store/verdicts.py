"""The rows of ``verdicts``, and what of them stands on the rows of ``workers``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from jobplatform.store.database import Transaction
from jobplatform.store.statement import Statement

Row = Mapping[str, Any]

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_COLUMNS = "worker_id text, verdict text, confidence real, reason text, decided_by text, features jsonb"

STAMP_VERDICTS = Statement(
    "stamp_verdicts",
    f"""
    update @workers w set verdict = r.verdict, confidence = r.confidence, verdict_reason = r.reason, judged_at = %(at)s
    from json_to_recordset(%(rows)s) as r({_COLUMNS}) where w.worker_id = r.worker_id
    """,
    {"rows": "[]", "at": _NOW},
)

ADD_VERDICTS = Statement(
    "add_verdicts",
    f"""
    insert into @verdicts (worker_id, judged_at, verdict, confidence, reason, decided_by, features)
    select worker_id, %(at)s, verdict, confidence, reason, decided_by, features
    from json_to_recordset(%(rows)s) as r({_COLUMNS}) on conflict do nothing
    """,
    {"rows": "[]", "at": _NOW},
)

LAST_VERDICTS = Statement(
    "last_verdicts",
    """
    select w.worker_id, v.verdict, v.confidence, v.reason, v.decided_by, v.features, v.judged_at
    from unnest(%(workers)s::text[]) as w(worker_id)
    cross join lateral (
        select * from @verdicts where worker_id = w.worker_id order by judged_at desc limit %(limit)s
    ) v
    """,
    {"workers": ["a"], "limit": 1},
)

LIST_JUDGED = Statement(
    "list_judged",
    """
    select worker_id, name, status, duty, verdict, confidence, verdict_reason as reason, judged_at, last_seen_at
    from @workers where status <> 'gone' and (%(name)s::text is null or name = %(name)s)
    order by last_seen_at desc limit %(limit)s
    """,
    {"name": None, "limit": 1},
)

# That a worker is silent is found when it has failed already, and what is found again is the same alarm.
LIST_ALARMS = Statement(
    "list_alarms",
    """
    select worker_id, extract(epoch from judged_at)::float8 as at from @verdicts
    where judged_at > %(after)s and verdict = 'failing' and confidence > %(sure)s and decided_by = 'rules'
        and features->>'rule' <> 'silence' and coalesce((features->>'in_a_row')::int, 1) < 2
    order by judged_at
    """,
    {"after": _NOW, "sure": 0.8},
)

PRUNE_VERDICTS = Statement(
    "prune_verdicts",
    """
    delete from @verdicts where (worker_id, judged_at) in (
        select worker_id, judged_at from @verdicts where judged_at < %(before)s limit %(limit)s
    )
    """,
    {"before": _NOW, "limit": 1},
)


def stamp(transaction: Transaction, rows: Sequence[Row], at: datetime) -> int:
    """Write on the rows of workers what is thought of them now."""
    return transaction.count(STAMP_VERDICTS, rows=json.dumps(rows), at=at) if rows else 0


def add(transaction: Transaction, rows: Sequence[Row], at: datetime) -> int:
    """Keep verdicts: ``worker_id``, ``verdict``, ``confidence``, ``reason``, ``decided_by`` and ``features``."""
    return transaction.count(ADD_VERDICTS, rows=json.dumps(rows), at=at) if rows else 0


def last(transaction: Transaction, workers: Sequence[str], limit: int = 1) -> Sequence[Row]:
    """List the last verdicts on each of some workers, newest first."""
    return transaction.rows(LAST_VERDICTS, workers=list(workers), limit=limit)


def judged(transaction: Transaction, name: str | None, limit: int) -> Sequence[Row]:
    """List workers that have not ended with what is thought of them, the last seen first.

    :param name: only those of this name.
    """
    return transaction.rows(LIST_JUDGED, name=name, limit=limit)


def alarms(transaction: Transaction, after: datetime, sure: float = 0.8) -> Sequence[Row]:
    """List when the rules found workers failing, ``at`` in seconds since the epoch."""
    return transaction.rows(LIST_ALARMS, after=after, sure=sure)


def prune(transaction: Transaction, before: datetime, limit: int) -> int:
    """Delete old verdicts, so many at most; returns how many."""
    return transaction.count(PRUNE_VERDICTS, before=before, limit=limit)
