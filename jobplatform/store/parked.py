"""The rows of jobs that are parked: no worker that had their message knew their type."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from jobplatform.records import PLATFORM
from jobplatform.store.database import Transaction
from jobplatform.store.statement import Statement

_NOW = datetime(2026, 1, 1, tzinfo=UTC)

#: A job that is parked again although a worker knew its type waits twice as long each time, up to five minutes. What a
#: job was published for without using up a retry, it was parked for, or interrupted.
_PATIENCE = "make_interval(secs => least(300, 2 ^ least(attempt - retry_count, 9)))"

ANY_PARKED = Statement(
    "any_parked",
    f"select exists (select from @jobs where status = 'PAUSED' and hold_by = '{PLATFORM}') as parked",
    {},
)

RELEASE_PARKED = Statement(
    "release_parked",
    f"""
    with known as materialized (
        select job_id from @jobs
        where status = 'PAUSED' and hold_by = '{PLATFORM}'
            and (%(job_types)s::text[] is null or job_type = any(%(job_types)s::text[]))
            and (%(queues)s::text[] is null or queue = any(%(queues)s::text[]))
            and updated_at <= %(now)s - {_PATIENCE}
            and not exists (select from @pauses p where p.scope = 'type' and p.name = job_type)
        limit %(limit)s for update skip locked
    )
    update @jobs as j
    set status = case when j.scheduled_at > %(now)s then 'SCHEDULED' else 'PENDING' end, attempt = j.attempt + 1,
        due_at = greatest(%(now)s, j.scheduled_at), hold_reason = null, hold_by = null, updated_at = %(now)s
    from known
    where j.job_id = known.job_id and j.status = 'PAUSED'
    """,
    {"job_types": ["shop.charge"], "queues": ["celery"], "now": _NOW, "limit": 1},
)


def any_parked(transaction: Transaction) -> bool:
    """Tell whether any job is parked."""
    return bool(transaction.rows(ANY_PARKED)[0]["parked"])


def release(
    transaction: Transaction,
    job_types: Sequence[str] | None,
    queues: Sequence[str] | None,
    now: datetime,
    limit: int,
) -> int:
    """Make parked jobs due that workers know; returns how many.

    The message that was parked is never valid again, so the next attempt begins; no retry is used up.

    :param job_types: the types that are known, None for any.
    :param queues: the queues that are taken, None for any.
    """
    return transaction.count(
        RELEASE_PARKED,
        job_types=None if job_types is None else list(job_types),
        queues=None if queues is None else list(queues),
        now=now,
        limit=limit,
    )
