"""The rows of ``retry_decisions``: what was decided for each failed attempt, and why."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from jobplatform.decision import Outcome
from jobplatform.store.database import Transaction
from jobplatform.store.statement import Statement

RECORD_DECISIONS = Statement(
    "record_decisions",
    """
    insert into @retry_decisions (job_id, attempt, action, delay_seconds, reason, decided_by, decided_at, job_type,
        fingerprint, dependency, gate, free, features, candidates, propensity, chance, eventual, shadow)
    select r.job_id, r.attempt, case when r.delay is null then 'dead_letter' else 'retry' end, r.delay, r.reason,
        r.decided_by, to_timestamp(r.completed_at), r.job_type, r.fingerprint, r.dependency, r.gate,
        coalesce(r.free, false), r.features, r.candidates, r.propensity, r.chance, r.eventual, r.shadow
    from json_to_recordset(%(rows)s) as r(job_id uuid, attempt int, delay float8, reason text, decided_by text,
        completed_at float8, job_type text, fingerprint text, dependency text, gate text, free boolean,
        features jsonb, candidates jsonb, propensity float8, chance float8, eventual float8, shadow jsonb)
    where exists (select from @jobs j where j.job_id = r.job_id)
    on conflict (job_id, attempt) do nothing
    returning job_id::text, attempt
    """,
    {"rows": "[]"},
)

# What followed an interruption says nothing of the failure before it; so the next end counts for all that are open.
SETTLE_DECISIONS = Statement(
    "settle_decisions",
    """
    with ends as (
        select * from json_to_recordset(%(rows)s) as r(job_id uuid, attempt int, outcome text, started_at float8,
            at float8, ended text)
    ), pairs as materialized (
        select distinct on (d.decision_id) d.decision_id, e.outcome, e.started_at, e.at, e.ended,
            d.outcome is null and d.action = 'retry' and d.attempt < e.attempt as settles
        from ends e join @retry_decisions d on d.job_id = e.job_id
        order by d.decision_id, d.attempt >= e.attempt, e.attempt
    )
    update @retry_decisions as d
    set outcome = case when p.settles then p.outcome else d.outcome end,
        outcome_at = case when p.settles then to_timestamp(p.at) else d.outcome_at end,
        waited_seconds = case when p.settles then greatest(0, p.started_at - extract(epoch from d.decided_at))
            else d.waited_seconds end,
        ended = coalesce(p.ended, d.ended)
    from pairs p
    where d.decision_id = p.decision_id and (p.settles or (p.ended is not null and d.ended is null))
    returning p.settles, d.job_id::text, d.job_type, d.attempt, d.fingerprint, d.dependency, d.decided_by,
        p.outcome = 'succeeded' as succeeded, coalesce(d.waited_seconds, 0) as waited, p.at, d.chance, d.gate, d.shadow,
        d.free
    """,
    {"rows": "[]"},
)

LIST_LAST_OUTCOMES = Statement(
    "list_last_outcomes",
    """
    select * from (
        select job_id::text, job_type, attempt, fingerprint, dependency, decided_by, outcome = 'succeeded' as succeeded,
            coalesce(waited_seconds, 0) as waited, extract(epoch from outcome_at)::float8 as at, chance, gate, shadow
        from @retry_decisions
        where outcome is not null and features is not null and fingerprint is not null
        order by outcome_at desc limit %(limit)s
    ) as newest order by at
    """,
    {"limit": 100},
)

LIST_DECISIONS = Statement(
    "list_decisions",
    """
    select attempt, action, delay_seconds, reason, decided_by, decided_at, fingerprint, dependency, gate, features,
        candidates, propensity, chance, eventual, shadow, outcome, outcome_at, waited_seconds
    from @retry_decisions where job_id = %(job_id)s::uuid order by attempt
    """,
    {"job_id": "00000000-0000-7000-8000-000000000000"},
)


def record(transaction: Transaction, rows: Sequence[Mapping[str, Any]]) -> set[tuple[str, int]]:
    """Write decisions, each (job, attempt) once; return those that were new."""
    if not rows:
        return set()
    return {(row["job_id"], row["attempt"]) for row in transaction.rows(RECORD_DECISIONS, rows=json.dumps(rows))}


def settle(transaction: Transaction, rows: Sequence[Mapping[str, Any]]) -> list[Outcome]:
    """Write what came of decisions as attempts ended and jobs did; return it, but for what only followed interruptions.

    :param rows: ``job_id``, ``attempt``, ``outcome``, ``started_at``, ``at`` (seconds since the epoch), and how the job
        ``ended`` if it did.
    """
    if not rows:
        return []
    found = transaction.rows(SETTLE_DECISIONS, rows=json.dumps(rows))
    fields = Outcome.__dataclass_fields__
    counted = (row for row in found if row["settles"] and (row["gate"] or not row["free"]) and row["fingerprint"])
    return [Outcome(**{name: row[name] for name in fields}) for row in counted]


def last_outcomes(transaction: Transaction, limit: int) -> list[Outcome]:
    """List the last outcomes of decisions that a model may learn from, the oldest first."""
    return [Outcome(**row) for row in transaction.rows(LIST_LAST_OUTCOMES, limit=limit)]


def of_job(transaction: Transaction, job_id: str) -> Sequence[Mapping[str, Any]]:
    """List the decisions on a job, first to last."""
    return transaction.rows(LIST_DECISIONS, job_id=job_id)
