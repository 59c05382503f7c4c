"""Rows of ``jobs`` that nothing in Redis stands for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from jobplatform.store.database import Transaction
from jobplatform.store.statement import Statement

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_ID = "00000000-0000-7000-8000-000000000000"

MARK_ORPHANS_DUE = Statement(
    "mark_orphans_due",
    """
    update @jobs set due_at = %(now)s, updated_at = %(now)s, attempt = attempt + 1
    where job_id = any(%(job_ids)s::uuid[]) and status = 'PENDING' and due_at is null and enqueued_at < %(before)s
    """,
    {"now": _NOW, "job_ids": [_ID], "before": _NOW},
)

LIST_OVERDUE = Statement(
    "list_overdue",
    """
    select job_id::text, enqueued_at from @jobs
    where status = 'PENDING' and queue = %(queue)s and priority = %(priority)s and enqueued_at < %(before)s
        and due_at is null
    order by enqueued_at limit %(limit)s
    """,
    {"queue": "celery", "priority": 1, "before": _NOW, "limit": 1},
)

LIST_WAITING_QUEUES = Statement(
    "list_waiting_queues",
    """
    with recursive pairs as (
        (select queue, priority from @jobs where status = 'PENDING' order by queue, priority limit 1)
        union all
        select next.queue, next.priority from pairs, lateral (
            select queue, priority from @jobs
            where status = 'PENDING' and (queue, priority) > (pairs.queue, pairs.priority)
            order by queue, priority limit 1
        ) as next
    )
    select queue, priority from pairs
    """,
    {},
)

LIST_RUNNING = Statement(
    "list_running",
    """
    select job_id::text, attempt, worker_id, extract(epoch from started_at)::float8 as started_at, queue, priority
    from @jobs
    where status = 'PROCESSING' and updated_at < %(before)s
    order by created_at desc, job_id desc limit %(limit)s
    """,
    {"before": _NOW, "limit": 1},
)


def mark_due(transaction: Transaction, job_ids: Sequence[str], now: datetime, before: datetime) -> int:
    """Say that no message stands for some jobs, unless they were enqueued again since ``before``.

    The next message is that of a new attempt: should there be one that nobody sees, it does not count any more.
    """
    return transaction.count(MARK_ORPHANS_DUE, job_ids=list(job_ids), now=now, before=before)


def waiting_queues(transaction: Transaction) -> list[tuple[str, int]]:
    """List the (queue, priority) pairs that have pending rows, by hops over the index."""
    return [(row["queue"], row["priority"]) for row in transaction.rows(LIST_WAITING_QUEUES)]


def overdue(transaction: Transaction, queue: str, priority: int, before: datetime, limit: int) -> dict[str, datetime]:
    """Tell when the pending jobs that were enqueued before a time were so, by job id, oldest first."""
    rows = transaction.rows(LIST_OVERDUE, queue=queue, priority=priority, before=before, limit=limit)
    return {row["job_id"]: row["enqueued_at"] for row in rows}


def running(transaction: Transaction, before: datetime, limit: int) -> Sequence[Mapping[str, Any]]:
    """List the jobs whose rows say since before a time that they run: id, attempt, worker, start in seconds, list."""
    return transaction.rows(LIST_RUNNING, before=before, limit=limit)
