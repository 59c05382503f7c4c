"""What a job waits behind: the jobs before it, those that run, and the slots of the workers that take them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from jobplatform.store.database import Transaction
from jobplatform.store.statement import Statement

Row = Mapping[str, Any]

_ID = "00000000-0000-7000-8000-000000000000"
_NOW = datetime(2026, 1, 1, tzinfo=UTC)
#: Jobs that are counted at most.
MOST = 100_000
_RUNNING = 10_000
#: The mean of what is foretold, by Swanson's rule, as ``jobs.eta`` has it.
_MEAN = "0.3 * predicted_p10 + 0.4 * predicted_p50 + 0.3 * predicted_p90"

COUNT_AHEAD = Statement(
    "count_ahead",
    f"""
    select count(*)::int as jobs, count(predicted_p50)::int as foretold, coalesce(sum({_MEAN}), 0)::float8 as seconds
    from (
        select predicted_p10, predicted_p50, predicted_p90 from @jobs
        where queue = any(%(queues)s::text[]) and status = 'PENDING'
            and (priority > %(priority)s or (priority = %(priority)s and enqueued_at < %(before)s))
        limit %(limit)s
    ) j
    """,
    {"queues": ["celery"], "priority": 1, "before": _NOW, "limit": MOST},
)

LIST_RUNNING = Statement(
    "list_running_of_queues",
    """
    select predicted_p10, predicted_p50, predicted_p90, started_at from @jobs
    where status = 'PROCESSING' and queue = any(%(queues)s::text[]) limit %(limit)s
    """,
    {"queues": ["celery"], "limit": _RUNNING},
)

LIST_SLOTS = Statement(
    "list_slots",
    """
    select coalesce((report->>'slots')::int, 1) as slots, report->'queues' as queues from @workers
    where status = 'alive' and duty = 'work'
    """,
    {},
)

LAST_OF_BATCH = Statement(
    "last_of_batch",
    """
    select job_id::text from @jobs where batch_id = %(batch_id)s::uuid and status = 'PENDING'
    order by priority, enqueued_at desc limit 1
    """,
    {"batch_id": _ID},
)

LIST_PROSPECTS = Statement(
    "list_prospects",
    """
    select job_id::text, status, queue, priority, enqueued_at, started_at, predicted_p10, predicted_p50, predicted_p90
    from @jobs where job_id = any(%(job_ids)s::uuid[])
    """,
    {"job_ids": [_ID]},
)


def ahead(transaction: Transaction, queues: Collection[str], priority: int, before: datetime) -> Row:
    """Count what is handed out before a job that was enqueued at a time, up to ``MOST``."""
    parameters = {"queues": list(queues), "priority": priority, "before": before, "limit": MOST}
    return transaction.rows(COUNT_AHEAD, **parameters)[0]


def running(transaction: Transaction, queues: Collection[str]) -> Sequence[Row]:
    """List the running jobs of some queues."""
    return transaction.rows(LIST_RUNNING, queues=list(queues), limit=_RUNNING)


def slots(transaction: Transaction) -> Sequence[Row]:
    """List the workers that take jobs: how many each runs at once, and of which queues."""
    return transaction.rows(LIST_SLOTS)


def last_of_batch(transaction: Transaction, batch_id: str) -> str | None:
    """Name the job of a batch that is handed out last of those that wait for a worker."""
    return next((row["job_id"] for row in transaction.rows(LAST_OF_BATCH, batch_id=batch_id)), None)


def prospects(transaction: Transaction, job_ids: Collection[str]) -> dict[str, Row]:
    """Read where jobs stand and what is foretold of them."""
    return {row["job_id"]: row for row in transaction.rows(LIST_PROSPECTS, job_ids=list(job_ids))} if job_ids else {}
