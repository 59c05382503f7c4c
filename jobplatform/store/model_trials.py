"""The rows of ``model_trials``: who decides on the retries of each job type, and why."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from jobplatform.decision import Outcome
from jobplatform.store.database import Transaction
from jobplatform.store.models import RETRY
from jobplatform.store.statement import Statement

Row = Mapping[str, Any]

LIST_TRIALS = Statement(
    "list_trials",
    """
    select job_type, state, version, extract(epoch from since)::float8 as since, reason, score, forced
    from @model_trials where kind = %(kind)s order by job_type
    """,
    {"kind": RETRY},
)

# An operator's word stands above what outcomes say, but for a model that was forced and loses.
WRITE_TRIALS = Statement(
    "write_trials",
    """
    insert into @model_trials as t (kind, job_type, state, version, since, reason, score, forced)
    select %(kind)s, r.job_type, r.state, (select version from @models where version = r.version),
        to_timestamp(r.since), r.reason, r.score, r.forced
    from json_to_recordset(%(rows)s) as r(job_type text, state text, version int, since float8, reason text,
        score jsonb, forced boolean)
    on conflict (kind, job_type) do update set state = excluded.state, version = excluded.version,
        since = excluded.since, reason = excluded.reason, score = excluded.score, forced = excluded.forced
    where excluded.forced or not t.forced or t.since < excluded.since
    """,
    {"kind": RETRY, "rows": "[]"},
)

LOCK_TRIALS = Statement(
    "lock_trials",
    "select job_type from @model_trials where kind = %(kind)s order by job_type for no key update",
    {"kind": RETRY},
)

LAST_OUTCOMES = Statement(
    "last_outcomes",
    """
    select d.job_id::text, d.job_type, d.attempt, d.fingerprint, d.dependency, d.decided_by,
        d.outcome = 'succeeded' as succeeded, coalesce(d.waited_seconds, 0) as waited,
        extract(epoch from d.outcome_at)::float8 as at, d.chance, d.gate, d.shadow
    from @model_trials t cross join lateral (
        select * from @retry_decisions
        where job_type = t.job_type and outcome is not null and fingerprint is not null
            and (gate is not null or not free)
        order by outcome_at desc limit %(limit)s
    ) d
    where t.kind = %(kind)s order by d.outcome_at
    """,
    {"kind": RETRY, "limit": 400},
)


def all_trials(transaction: Transaction, kind: str = RETRY) -> Sequence[Row]:
    """List the trials of job types; ``since`` is in seconds since the epoch."""
    return transaction.rows(LIST_TRIALS, kind=kind)


def lock(transaction: Transaction, kind: str = RETRY) -> None:
    """Let nobody else change the trials before the end of the transaction."""
    transaction.rows(LOCK_TRIALS, kind=kind)


def write(transaction: Transaction, rows: Sequence[Row], kind: str = RETRY) -> int:
    """Write trials: ``job_type``, ``state``, ``version``, ``since``, ``reason``, ``score``, ``forced``."""
    return transaction.count(WRITE_TRIALS, kind=kind, rows=json.dumps(rows)) if rows else 0


def last_outcomes(transaction: Transaction, each: int, kind: str = RETRY) -> list[Outcome]:
    """Give the last outcomes of each job type that has a trial, oldest first."""
    return [Outcome(**row) for row in transaction.rows(LAST_OUTCOMES, kind=kind, limit=each)]
