"""The rows of ``retry_decisions``: what was decided for each failed attempt, and why."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from jobplatform.store.database import Transaction
from jobplatform.store.statement import Statement

RECORD_DECISIONS = Statement(
    "record_decisions",
    """
    insert into @retry_decisions (job_id, attempt, action, delay_seconds, reason, decided_by, decided_at)
    select r.job_id, r.attempt, case when r.delay is null then 'dead_letter' else 'retry' end, r.delay, r.reason,
        r.decided_by, to_timestamp(r.completed_at)
    from json_to_recordset(%(rows)s) as r(job_id uuid, attempt int, delay float8, reason text, decided_by text,
        completed_at float8)
    where exists (select from @jobs j where j.job_id = r.job_id)
    on conflict (job_id, attempt) do nothing
    """,
    {"rows": "[]"},
)

LIST_DECISIONS = Statement(
    "list_decisions",
    """
    select attempt, action, delay_seconds, reason, decided_by, decided_at
    from @retry_decisions where job_id = %(job_id)s::uuid order by attempt
    """,
    {"job_id": "00000000-0000-7000-8000-000000000000"},
)


def record(transaction: Transaction, rows: Sequence[Mapping[str, Any]]) -> int:
    """Write decisions, each (job, attempt) once."""
    return transaction.count(RECORD_DECISIONS, rows=json.dumps(rows)) if rows else 0


def of_job(transaction: Transaction, job_id: str) -> Sequence[Mapping[str, Any]]:
    """List the decisions on a job, first to last."""
    return transaction.rows(LIST_DECISIONS, job_id=job_id)
