"""How a submission is made safe: its row first, then its message; or both through the journal."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from celery import signals

from jobplatform.errors import StoreUnavailable
from jobplatform.jobs import admission
from jobplatform.jobs.platform import Platform
from jobplatform.journal import entry
from jobplatform.records import NewJob, row_of
from jobplatform.transport.message import Message
from jobplatform.transport.publisher import UNREACHABLE as REDIS_UNREACHABLE
from jobplatform.transport.publisher import MaybePushed

if TYPE_CHECKING:
    from jobplatform.store.database import Transaction

logger = logging.getLogger(__name__)

#: What happened to submissions in this process, by name.
COUNTS: Counter[str] = Counter()


_collected: ContextVar[list[NewJob] | None] = ContextVar("jobplatform_collected", default=None)


@contextmanager
def collecting() -> Iterator[list[NewJob]]:
    """Keep what is submitted in the block, instead of writing it."""
    jobs: list[NewJob] = []
    token = _collected.set(jobs)
    try:
        yield jobs
    finally:
        _collected.reset(token)


def is_collecting() -> bool:
    """Tell whether what is submitted here is kept by somebody who has checked it."""
    return _collected.get() is not None


def is_watched() -> bool:
    """Tell whether somebody listens to Celery's signals of publishing."""
    return bool(signals.before_task_publish.receivers or signals.after_task_publish.receivers)


def message_of(job: NewJob) -> Message:
    """Give the message that a new job's row stands behind."""
    return Message(
        job.job_id, job.job_type, job.payload, job.queue, job.priority, job.enqueued_at or 0.0, job.attempt,
        job.retry_count, job.root_id, job.parent_id, job.expires_at, job.timeout, job.soft_timeout, job.tenant,
        job.limit_key, job.units or 1, job.message, job.deadline_at,
    )  # fmt: skip


def submit(platform: Platform, job: NewJob, publish: Callable[[NewJob, str], None]) -> None:
    """Submit one job so that it cannot be lost while either store keeps it.

    :param publish: pushes the job's message, together with a journal entry if one is given.
    :raises StoreUnavailable: when neither store took it.
    """
    if (collected := _collected.get()) is not None:
        collected.append(job)
        return
    if admission.goes_through_journal(platform, job):
        _through_journal(platform, job, publish)
        return
    from jobplatform.store import new_jobs
    from jobplatform.store.database import UNREACHABLE

    try:
        if job.after or job.batch_id:
            _insert_checked(platform, job)
        else:
            platform.database.once(lambda session: new_jobs.insert_one(session, job))
    except UNREACHABLE as error:
        admission.refuse_unasked(job, error)
        COUNTS["without_row"] += 1
        logger.warning("PostgreSQL did not take job %s, it goes through the journal: %s", job.job_id, brief(error))
        _through_journal(platform, job, publish)
        return
    if job.due_at is None:
        publish_or_leave(platform, [job.job_id], lambda: publish(job, ""))


def _insert_checked(platform: Platform, job: NewJob) -> None:
    from jobplatform.store import new_jobs

    with platform.database.transaction() as transaction:
        admission.check(transaction, job)
        new_jobs.insert_one(transaction, job)


def submit_together(platform: Platform, jobs: Sequence[NewJob], transaction: Transaction | None = None) -> None:
    """Submit jobs that may wait for each other: all rows in one transaction, then the messages of those that may begin.

    :param transaction: the caller's own; the dispatcher then publishes what may begin.
    :raises JobNotFound: when one waits for a job that nobody knows; nothing is written.
    :raises StoreUnavailable: when neither store took them.
    """
    if transaction is not None:
        now = platform.clock()
        _insert_together(
            transaction, [job if job.due_at or job.status == "BLOCKED" else replace(job, due_at=now) for job in jobs]
        )
        return
    ready = list(filter(_may_begin, jobs))
    journalled = all(admission.goes_through_journal(platform, job) for job in jobs)
    if not journalled and _wrote_together(platform, jobs):
        push = partial(platform.publisher.push_many, list(map(message_of, ready)))
        publish_or_leave(platform, [job.job_id for job in ready], push)
        return
    messages = [message_of(job) for job in ready]
    try:
        platform.publisher.push_many(messages, entries=[_entry(job) for job in jobs])
    except REDIS_UNREACHABLE as error:
        if platform.in_worker:
            raise
        raise StoreUnavailable(f"neither PostgreSQL nor Redis took {len(jobs)} jobs: {error}; submit again") from error


def _may_begin(job: NewJob) -> bool:
    return job.due_at is None and job.status != "BLOCKED"


def _wrote_together(platform: Platform, jobs: Sequence[NewJob]) -> bool:
    from jobplatform.store.database import UNREACHABLE

    try:
        with platform.database.transaction() as transaction:
            _insert_together(transaction, jobs)
    except UNREACHABLE as error:
        for job in jobs:
            admission.refuse_unasked(job, error)
        COUNTS["without_row"] += len(jobs)
        logger.warning("PostgreSQL did not take %d jobs, they go through the journal: %s", len(jobs), brief(error))
        return False
    return True


def _insert_together(transaction: Transaction, jobs: Sequence[NewJob]) -> None:
    from jobplatform.store import new_jobs

    ids = {job.job_id for job in jobs}
    for job in jobs:
        if job.batch_id or any(edge.job_id not in ids for edge in job.after or ()):
            admission.check(transaction, job, ids)
    new_jobs.insert(transaction, map(row_of, jobs), edges=True)


def submit_through_journal(platform: Platform, job: NewJob) -> None:
    """Submit a job that has a time by the journal alone.

    :raises StoreUnavailable: when Redis did not take it.
    """
    _through_journal(platform, job, lambda job, text: None)


def _through_journal(platform: Platform, job: NewJob, publish: Callable[[NewJob, str], None]) -> None:
    try:
        if job.due_at is None:
            publish(job, _entry(job))
        else:
            platform.publisher.journal(_entry(job), keep=True)
    except REDIS_UNREACHABLE as error:
        if platform.in_worker:
            raise
        raise StoreUnavailable(
            f"job {job.job_id}: neither PostgreSQL nor Redis took it: {error}; submit it again"
        ) from error


def _entry(job: NewJob) -> str:
    return entry.submitted(job.job_id, job.enqueued_at or job.due_at or 0.0, row_of(job))


def publish_or_leave(platform: Platform, job_ids: list[str], publish: Callable[[], Any]) -> None:
    """Publish jobs whose rows are written; when Redis is away they are left to the dispatcher.

    What Redis may have taken is left alone: a worker may have been given it already. Should nothing stand for its row,
    that is found.
    """
    try:
        publish()
    except MaybePushed as error:
        COUNTS["maybe_pushed"] += len(job_ids)
        logger.warning("Redis may not have taken %d messages; they are looked for: %s", len(job_ids), error)
    except REDIS_UNREACHABLE as error:
        COUNTS["left_to_dispatcher"] += len(job_ids)
        logger.warning("Redis did not take %d messages, the dispatcher will: %s", len(job_ids), error)
        _leave(platform, job_ids)


def _leave(platform: Platform, job_ids: list[str]) -> None:
    from jobplatform.store import jobs
    from jobplatform.store.database import UNREACHABLE

    try:
        platform.database.once(lambda session: jobs.mark_due(session, job_ids))
    except UNREACHABLE as error:
        logger.warning("%d rows are found later, as no message stands for them: %s", len(job_ids), brief(error))


def brief(error: BaseException) -> str:
    """Give the first line of what PostgreSQL or its driver said; the statement is in those that follow."""
    return str(error).partition("\n")[0]
