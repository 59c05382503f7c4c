"""How a submission is made safe: its row first, then its message; or both through the journal."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from jobplatform.errors import StoreUnavailable
from jobplatform.jobs.platform import Platform
from jobplatform.journal import entry
from jobplatform.records import NewJob, row_of
from jobplatform.transport.message import Message
from jobplatform.transport.publisher import UNREACHABLE as REDIS_UNREACHABLE

logger = logging.getLogger(__name__)

#: What happened to submissions in this process, by name.
COUNTS: Counter[str] = Counter()


def message_of(job: NewJob) -> Message:
    """Give the message that a new job's row stands behind."""
    return Message(
        job.job_id, job.job_type, job.payload, job.queue, job.priority, job.enqueued_at or time.time(), job.attempt,
        job.retry_count, job.root_id, job.parent_id, job.expires_at, job.timeout, job.soft_timeout, job.message,
    )  # fmt: skip


def submit(platform: Platform, job: NewJob, publish: Callable[[NewJob, str], None]) -> None:
    """Submit one job so that it cannot be lost while either store keeps it.

    :param publish: pushes the job's message, together with a journal entry if one is given.
    :raises StoreUnavailable: when neither store took it.
    """
    if platform.in_worker:
        _through_journal(platform, job, publish)
        return
    from jobplatform.store import jobs
    from jobplatform.store.database import UNREACHABLE

    row = row_of(job)
    try:
        platform.database.once(lambda session: jobs.insert(session, [row]))
    except UNREACHABLE as error:
        COUNTS["without_row"] += 1
        logger.warning("PostgreSQL did not take job %s, it goes through the journal: %s", job.job_id, error)
        _through_journal(platform, job, publish)
        return
    if job.due_at is None:
        publish_or_leave(platform, [job], lambda: publish(job, ""))


def submit_many(platform: Platform, jobs: Iterable[list[NewJob]]) -> int:
    """Submit chunks of jobs: all rows in one transaction, then all messages.

    :raises StoreUnavailable: when neither store took them.
    """
    chunks = list(jobs) if platform.in_worker else None
    if chunks is None:
        chunks = []
        try:
            _insert_chunks(platform, jobs, chunks)
        except _unreachable() as error:
            COUNTS["without_row"] += 1
            logger.warning("PostgreSQL did not take %d chunks, they go through the journal: %s", len(chunks), error)
            chunks.extend(jobs)
        else:
            for chunk in chunks:
                _publish_chunk(platform, [job for job in chunk if job.due_at is None])
            return sum(map(len, chunks))
    for chunk in chunks:
        _journal_chunk(platform, chunk)
    return sum(map(len, chunks))


def _publish_chunk(platform: Platform, jobs: list[NewJob]) -> None:
    publish_or_leave(platform, jobs, lambda: platform.publisher.push_many(map(message_of, jobs)))


def _insert_chunks(platform: Platform, jobs: Iterable[list[NewJob]], taken: list[list[NewJob]]) -> None:
    from jobplatform.store.jobs import insert

    with platform.database.transaction() as transaction:
        for chunk in jobs:
            taken.append(chunk)
            insert(transaction, map(row_of, chunk))


def _unreachable() -> Any:
    from jobplatform.store.database import UNREACHABLE

    return UNREACHABLE


def _journal_chunk(platform: Platform, chunk: list[NewJob]) -> None:
    entries = [_entry(job) for job in chunk]
    messages = [message_of(job) for job in chunk if job.due_at is None]
    try:
        platform.publisher.push_many(messages, entries)
    except REDIS_UNREACHABLE as error:
        raise StoreUnavailable(f"neither PostgreSQL nor Redis took {len(chunk)} jobs: {error}; submit again") from error


def _through_journal(platform: Platform, job: NewJob, publish: Callable[[NewJob, str], None]) -> None:
    try:
        if job.due_at is None:
            publish(job, _entry(job))
        else:
            platform.publisher.journal(_entry(job))
    except REDIS_UNREACHABLE as error:
        if platform.in_worker:
            raise
        raise StoreUnavailable(
            f"job {job.job_id}: neither PostgreSQL nor Redis took it: {error}; submit it again"
        ) from error


def _entry(job: NewJob) -> str:
    return entry.submitted(job.job_id, job.enqueued_at or time.time(), row_of(job))


def publish_or_leave(platform: Platform, jobs: list[NewJob], publish: Callable[[], Any]) -> None:
    """Publish jobs whose rows are written; when Redis is away they are left to the dispatcher."""
    if not jobs:
        return
    try:
        publish()
    except REDIS_UNREACHABLE as error:
        COUNTS["left_to_dispatcher"] += len(jobs)
        logger.warning("Redis did not take %d messages, the dispatcher will: %s", len(jobs), error)
        _leave(platform, [job.job_id for job in jobs])


def _leave(platform: Platform, job_ids: list[str]) -> None:
    from datetime import UTC, datetime

    from jobplatform.store import jobs
    from jobplatform.store.database import UNREACHABLE

    try:
        platform.database.once(lambda session: jobs.mark_due(session, job_ids, datetime.now(UTC)))
    except UNREACHABLE as error:
        logger.warning("%d rows are found later, as no message stands for them: %s", len(job_ids), error)


def enqueued(job: NewJob, now: float) -> NewJob:
    """Mark a job as one whose message is pushed at once, unless it waits for a time."""
    return job if job.due_at is not None else replace(job, enqueued_at=now)
