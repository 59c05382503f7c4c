"""The result of a job, as clients that wait for it read it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from jobplatform.store.database import Transaction
from jobplatform.store.statement import Statement

READ_RESULT = Statement(
    "read_result",
    """
    select j.job_type, j.status, j.result, j.completed_at, j.retry_count, j.worker_id, j.error_type, j.error_message,
        e.traceback
    from @jobs j left join @job_executions e on e.job_id = j.job_id and e.attempt_number = j.attempt
    where j.job_id = %(job_id)s::uuid
    """,
    {"job_id": "00000000-0000-7000-8000-000000000000"},
)

READ_RESULTS = Statement(
    "read_results",
    "select job_id::text, result from @jobs where job_id = any(%(job_ids)s::uuid[])",
    {"job_ids": ["00000000-0000-7000-8000-000000000000"]},
)


def results_of(transaction: Transaction, job_ids: Collection[str]) -> dict[str, Any]:
    """Read what jobs returned, by id; None stands for what did not complete."""
    return {row["job_id"]: row["result"] for row in transaction.rows(READ_RESULTS, job_ids=list(job_ids))}


def read_result(transaction: Transaction, job_id: str) -> Mapping[str, Any] | None:
    """Read the state and the result of a job, None when no row stands for it."""
    rows = transaction.rows(READ_RESULT, job_id=job_id)
    return rows[0] if rows else None
