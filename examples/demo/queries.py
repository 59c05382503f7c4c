"""What the demo asks of the tables, in the form of the store: one named statement, one function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jobplatform.store.database import Transaction
from jobplatform.store.statement import Statement

Row = Mapping[str, Any]

_ID = "00000000-0000-7000-8000-000000000000"

DEMO_COUNT_STATES = Statement(
    "demo_count_states",
    """
    select status, count(*) as jobs, sum(retry_count)::int as retries, min(started_at) as first_start,
        max(completed_at) as last_end
    from @jobs group by status
    """,
    {},
)

# The row's time is that of the transaction which wrote the end of the job.
DEMO_MEASURE_LAG = Statement(
    "demo_measure_lag",
    """
    select count(*) as jobs,
        1000 * percentile_cont(0.5) within group (order by extract(epoch from updated_at - completed_at)) as p50_ms,
        1000 * percentile_cont(0.99) within group (order by extract(epoch from updated_at - completed_at)) as p99_ms
    from @jobs where completed_at > now() - make_interval(secs => %(seconds)s)
    """,
    {"seconds": 2.0},
)

DEMO_LIST_OUTCOMES = Statement(
    "demo_list_outcomes",
    """
    select j.job_id::text, j.job_type, j.status, j.retry_count, j.error_type, j.root_id::text, j.parent_id::text,
        j.batch_id::text,
        j.started_at, j.completed_at, j.payload->'kwargs'->>'path' as path, count(e.execution_id) as executions,
        count(e.execution_id) filter (where e.completed_at is null) as open_executions
    from @jobs j left join @job_executions e on e.job_id = j.job_id
    group by j.job_id
    """,
    {},
)

DEMO_LIST_DEAD_LETTERS = Statement(
    "demo_list_dead_letters",
    """
    select job_id::text, payload->'kwargs'->>'path' as path, error_type, error_message, reason
    from @dead_letter_jobs order by path
    """,
    {},
)

DEMO_LIST_FILES = Statement(
    "demo_list_files",
    """
    select payload->'kwargs'->>'path' as path, status, result, error_type, error_message
    from @jobs where batch_id = %(batch_id)s::uuid and job_type = 'demo.parse' order by path
    """,
    {"batch_id": _ID},
)


def states(transaction: Transaction) -> Sequence[Row]:
    """Count the jobs and retries of each state."""
    return transaction.rows(DEMO_COUNT_STATES)


def lag(transaction: Transaction, seconds: float) -> Row:
    """Measure how long after their ends the jobs of the last seconds were written into their rows."""
    return transaction.rows(DEMO_MEASURE_LAG, seconds=seconds)[0]


def outcomes(transaction: Transaction) -> Sequence[Row]:
    """List every job with the number of its executions."""
    return transaction.rows(DEMO_LIST_OUTCOMES)


def dead_letters(transaction: Transaction) -> Sequence[Row]:
    """List the dead letters by file."""
    return transaction.rows(DEMO_LIST_DEAD_LETTERS)


def files(transaction: Transaction, batch_id: str) -> Sequence[Row]:
    """List the files that one batch read, with their numbers or their errors."""
    return transaction.rows(DEMO_LIST_FILES, batch_id=batch_id)
