"""The rows of ``dead_letter_jobs``: jobs that were given up, and why."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from jobplatform.store.database import Transaction
from jobplatform.store.statement import Statement

BURY_JOBS = Statement(
    "bury_jobs",
    """
    insert into @dead_letter_jobs (job_id, job_type, payload, error_type, error_message, retry_count, failed_at,
        last_execution_id, reason, fingerprint, attempt)
    select j.job_id, j.job_type, j.payload, r.error_type, r.error_message, j.retry_count,
        to_timestamp(r.completed_at), e.execution_id, r.reason, r.fingerprint, r.attempt
    from json_to_recordset(%(rows)s) as r(job_id uuid, attempt int, error_type text, error_message text,
        completed_at float8, reason text, fingerprint text)
    join @jobs j on j.job_id = r.job_id
    left join @job_executions e on e.job_id = r.job_id and e.attempt_number = r.attempt
    where not exists (select from @retry_decisions d
        where d.job_id = r.job_id and d.attempt = r.attempt and d.action = 'retry')
    on conflict (job_id, attempt) do nothing
    """,
    {"rows": "[]"},
)

RESOLVE_DEAD_LETTERS = Statement(
    "resolve_dead_letters",
    """
    update @dead_letter_jobs set resolution = %(resolution)s, resolved_at = now()
    where job_id = any(%(job_ids)s::uuid[]) and resolved_at is null
    """,
    {"job_ids": ["00000000-0000-7000-8000-000000000000"], "resolution": "replayed"},
)


def bury(transaction: Transaction, rows: Sequence[Mapping[str, Any]]) -> int:
    """Record failed jobs as dead letters, each (job, attempt) once."""
    return transaction.count(BURY_JOBS, rows=json.dumps(rows)) if rows else 0


def resolve(transaction: Transaction, job_ids: Sequence[str], resolution: str) -> int:
    """Mark the open dead letters of some jobs as resolved."""
    return transaction.count(RESOLVE_DEAD_LETTERS, job_ids=list(job_ids), resolution=resolution)
