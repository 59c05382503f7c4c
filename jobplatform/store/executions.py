"""The rows of ``job_executions``: one for each start of a job."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from jobplatform.states import rank_sql
from jobplatform.store.database import Transaction
from jobplatform.store.statement import Statement

RECORD_EXECUTIONS = Statement(
    "record_executions",
    f"""
    insert into @job_executions as e (job_id, attempt_number, worker_id, started_at, completed_at, status,
        error_type, error_message, traceback, metrics)
    select r.job_id, r.attempt, r.worker_id, to_timestamp(r.started_at), to_timestamp(r.completed_at), r.status,
        r.error_type, r.error_message, r.traceback, r.metrics
    from json_to_recordset(%(rows)s) as r(job_id uuid, attempt int, worker_id text, started_at float8,
        completed_at float8, status text, error_type text, error_message text, traceback text, metrics jsonb)
    where exists (select from @jobs j where j.job_id = r.job_id)
    on conflict (job_id, attempt_number) do update
    set worker_id = excluded.worker_id, started_at = coalesce(excluded.started_at, e.started_at),
        completed_at = excluded.completed_at, status = excluded.status, error_type = excluded.error_type,
        error_message = excluded.error_message, traceback = excluded.traceback, metrics = excluded.metrics
    where {rank_sql("excluded.status")} > {rank_sql("e.status")}
    """,
    {"rows": "[]"},
)

NOTE_STALE = Statement(
    "note_stale",
    """
    update @job_executions as e set metrics = coalesce(e.metrics, '{}') || jsonb_build_object('stale', r.stale)
    from json_to_recordset(%(rows)s) as r(job_id uuid, attempt int, stale jsonb)
    where e.job_id = r.job_id and e.attempt_number = r.attempt
    """,
    {"rows": "[]"},
)

LIST_EXECUTIONS = Statement(
    "list_executions",
    """
    select execution_id, attempt_number, worker_id, started_at, completed_at, status, error_type, error_message,
        traceback, metrics
    from @job_executions where job_id = %(job_id)s::uuid order by attempt_number
    """,
    {"job_id": "00000000-0000-7000-8000-000000000000"},
)


def record(transaction: Transaction, rows: Sequence[Mapping[str, Any]]) -> int:
    """Write the news of some attempts; news that is not ahead of the row changes nothing."""
    return transaction.count(RECORD_EXECUTIONS, rows=json.dumps(rows)) if rows else 0


def note_stale(transaction: Transaction, rows: Sequence[Mapping[str, Any]]) -> int:
    """Show on attempts what their worker said after they had been taken from it."""
    return transaction.count(NOTE_STALE, rows=json.dumps(rows)) if rows else 0


def of_job(transaction: Transaction, job_id: str) -> Sequence[Mapping[str, Any]]:
    """List the attempts of a job, first to last."""
    return transaction.rows(LIST_EXECUTIONS, job_id=job_id)
