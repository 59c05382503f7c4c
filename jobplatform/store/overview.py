"""What the first page tells; each of these looks at a bounded number of rows, however long the history is."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from jobplatform.store.database import Transaction
from jobplatform.store.statement import Statement

Row = Mapping[str, Any]

_NOW = datetime(2026, 1, 1, tzinfo=UTC)

# Of each state the newest are looked at, as many as the cap, whether or not they are in scope.
COUNT_STATES_WITHIN = Statement(
    "count_states_within",
    """
    select s.status, c.jobs, c.looked_at
    from unnest(%(states)s::text[]) as s(status)
    cross join lateral (
        select count(*) as looked_at, count(*) filter (
            where (%(in_queues)s::text[] is null or queue = any(%(in_queues)s::text[]))
                and (%(in_tenants)s::text[] is null or tenant = any(%(in_tenants)s::text[]))
        ) as jobs
        from (
            select queue, tenant from @jobs j where j.status = s.status
            order by j.created_at desc, j.job_id desc limit %(cap)s
        ) newest
    ) c
    """,
    {"states": ["PENDING"], "in_queues": ["celery"], "in_tenants": None, "cap": 100},
)

SUM_QUEUE_SAMPLES = Statement(
    "sum_queue_samples",
    """
    select queue, sum(arrived)::bigint as arrived, sum(started)::bigint as started, sum(finished)::bigint as finished,
        sum(seconds)::float8 as seconds
    from @queue_samples
    where sampled_at > %(since)s and (%(in_queues)s::text[] is null or queue = any(%(in_queues)s::text[]))
    group by queue order by queue
    """,
    {"since": _NOW, "in_queues": None},
)

# What a worker counts begins with it: of one that began since then, nothing is to be taken away.
SUM_WORKER_SAMPLES = Statement(
    "sum_worker_samples",
    """
    select coalesce(sum(last.finished - coalesce(before.finished, 0)), 0)::bigint as attempts,
        coalesce(sum(last.failed - coalesce(before.failed, 0)), 0)::bigint as failed
    from @workers w
    cross join lateral (
        select finished, failed from @worker_samples s
        where s.worker_id = w.worker_id and s.sampled_at > %(since)s order by s.sampled_at desc limit 1
    ) last
    left join lateral (
        select finished, failed from @worker_samples s
        where s.worker_id = w.worker_id and s.sampled_at <= %(since)s order by s.sampled_at desc limit 1
    ) before on true
    where w.last_seen_at > %(since)s
    """,
    {"since": _NOW},
)

COUNT_WORKERS = Statement(
    "count_workers_by_status",
    "select status, count(*)::int as workers from @workers where last_seen_at > %(since)s group by status",
    {"since": _NOW},
)

LIST_DEAD = Statement(
    "list_dead_workers",
    """
    select name, worker_id, last_seen_at from @workers where last_seen_at > %(since)s and status = 'stale'
    order by last_seen_at desc limit %(limit)s
    """,
    {"since": _NOW, "limit": 10},
)

LIST_MISSED = Statement(
    "list_missed_schedules",
    """
    select name, job_type, queue, next_run from @job_schedules
    where enabled and next_run < %(before)s and (%(in_queues)s::text[] is null or queue = any(%(in_queues)s::text[]))
    order by next_run limit %(limit)s
    """,
    {"before": _NOW, "in_queues": None, "limit": 10},
)

COUNT_LETTERS = Statement(
    "count_letters_since",
    """
    select count(*)::int as looked_at, (count(*) filter (where (%(in_queues)s::text[] is null and
            %(in_tenants)s::text[] is null) or exists (
            select from @jobs j where j.job_id = d.job_id
                and (%(in_queues)s::text[] is null or j.queue = any(%(in_queues)s::text[]))
                and (%(in_tenants)s::text[] is null or j.tenant = any(%(in_tenants)s::text[]))
        )))::int as letters
    from (
        select job_id from @dead_letter_jobs where failed_at > %(since)s order by failed_at desc limit %(cap)s
    ) d
    """,
    {"since": _NOW, "in_queues": None, "in_tenants": None, "cap": 1_000},
)


def count_states(
    transaction: Transaction,
    states: Sequence[str],
    queues: Collection[str] | None,
    tenants: Collection[str] | None,
    cap: int,
) -> Sequence[Row]:
    """Count among the newest jobs of each state those of some queues and tenants: ``jobs`` of ``looked_at``."""
    scope = {"in_queues": _array(queues), "in_tenants": _array(tenants)}
    return transaction.rows(COUNT_STATES_WITHIN, states=list(states), cap=cap, **scope)


def moved(transaction: Transaction, since: datetime, queues: Collection[str] | None) -> Sequence[Row]:
    """Tell how many messages came to each queue, were started and ended since a time, and in how many seconds."""
    return transaction.rows(SUM_QUEUE_SAMPLES, since=since, in_queues=_array(queues))


def attempts(transaction: Transaction, since: datetime) -> tuple[int, int]:
    """Tell how many attempts ended since a time, and how many of them failed."""
    (found,) = transaction.rows(SUM_WORKER_SAMPLES, since=since)
    return int(found["attempts"]), int(found["failed"])


def workers(transaction: Transaction, since: datetime) -> dict[str, int]:
    """Count the workers that were seen since a time, by status."""
    return {row["status"]: row["workers"] for row in transaction.rows(COUNT_WORKERS, since=since)}


def dead_workers(transaction: Transaction, since: datetime, limit: int) -> Sequence[Row]:
    """List workers that went without a goodbye, the last first."""
    return transaction.rows(LIST_DEAD, since=since, limit=limit)


def missed_schedules(
    transaction: Transaction, before: datetime, limit: int, queues: Collection[str] | None
) -> Sequence[Row]:
    """List schedules whose next time is before a time, and which nobody has fired."""
    return transaction.rows(LIST_MISSED, before=before, limit=limit, in_queues=_array(queues))


def letters(
    transaction: Transaction,
    since: datetime,
    cap: int,
    queues: Collection[str] | None,
    tenants: Collection[str] | None,
) -> tuple[int, int]:
    """Count the dead letters since a time that are in scope, and how many were looked at, up to a cap."""
    scope = {"in_queues": _array(queues), "in_tenants": _array(tenants)}
    (found,) = transaction.rows(COUNT_LETTERS, since=since, cap=cap, **scope)
    return found["letters"], found["looked_at"]


def _array(values: Collection[str] | None) -> list[str] | None:
    return None if values is None else sorted(values)
