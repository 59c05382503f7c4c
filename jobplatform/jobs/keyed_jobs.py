"""How a job that has a key is submitted: one that is the only one of it, or one whose submission counts once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from jobplatform.errors import JobOptionError
from jobplatform.jobs import admission, submission
from jobplatform.jobs.idempotency import idempotency_of
from jobplatform.jobs.platform import Platform
from jobplatform.jobs.unique import Unique
from jobplatform.jobs.wishes import Wishes
from jobplatform.records import NewJob, job_id_of

logger = logging.getLogger(__name__)


def is_keyed(job: NewJob) -> bool:
    """Tell whether another job may stand for this one."""
    return job.unique_key is not None or job.idempotency is not None


def with_unique(job: NewJob, unique: Unique | None, names: Mapping[str, Any], now: float) -> NewJob:
    """Give a job with its unique key, if it is to have one.

    :param names: the arguments by name.
    :param now: seconds since the epoch.
    :raises JobOptionError: when the key names no argument.
    """
    if unique is None:
        return job
    return unique.mark(job, unique.key_of(job.job_type, job.payload, names), now)


def with_idempotency(platform: Platform, job: NewJob, wishes: Wishes, hidden: bool = False) -> NewJob:
    """Give a job with the idempotency key that its caller wishes.

    A running job that is begun again submits the same job under the same key, whose id it has to know before anybody
    has looked.

    :param hidden: nobody without the key may guess at what was submitted; a new first key makes it another submission.
    """
    if wishes.idempotency_key is None:
        return job
    retention = wishes.idempotency_retention or platform.settings.idempotency_seconds
    ring = platform.settings.encryption_keys
    secret = ring.keys[ring.first] if hidden and ring else b""
    once = idempotency_of(job, wishes.idempotency_key, retention, platform.clock(), secret)
    if platform.in_worker and job.parent_id and wishes.transaction is None and wishes.task_id is None:
        job = replace(job, job_id=job_id_of(f"{job.parent_id} {once.key}"))
    return replace(job, idempotency=once)


def submit(platform: Platform, job: NewJob, session: Any, publish: Callable[[NewJob, str], None]) -> str:
    """Submit a job unless its key is taken; returns the id of the job that stands for the submission.

    What a running job submits goes through the journal, and whether its key is taken is found when it is mirrored: then
    the id may be one that no row has.

    :param session: an SQLAlchemy Session or Connection, in whose transaction key and row are written; or None.
    :param publish: pushes the job's message.
    :raises KeyTaken: when the unique key is, and the mode is ``reject``.
    :raises IdempotencyConflict: when the idempotency key was used for something else.
    """
    if submission.is_collecting():
        raise JobOptionError(
            f"workflow: {job.job_type}: it has a unique or an idempotency key, so another job may stand for it; "
            "submit it by itself, and let nodes wait for its id"
        )
    if session is not None:
        return _in_transaction(platform, job, session)
    if admission.goes_through_journal(platform, job):
        return _through_journal(platform, job)
    from jobplatform.store import idempotency
    from jobplatform.store.database import UNREACHABLE

    try:
        with platform.database.transaction() as transaction:
            admission.check(transaction, job)
            found = idempotency.submit(transaction, job)
    except UNREACHABLE as error:
        admission.refuse_unasked(job, error)
        logger.warning("PostgreSQL did not take job %s, it goes through the journal: %s", job.job_id, error)
        return _through_journal(platform, job)
    if found.publish:
        submission.publish_or_leave(platform, [job.job_id], lambda: publish(job, ""))
    return found.job_id


def _in_transaction(platform: Platform, job: NewJob, session: Any) -> str:
    from jobplatform.store import idempotency

    transaction = platform.transaction_on(session)
    admission.check(transaction, job)
    return idempotency.submit(transaction, _left_to_dispatcher(platform, job)).job_id


def _through_journal(platform: Platform, job: NewJob) -> str:
    submission.submit_through_journal(platform, _left_to_dispatcher(platform, job))
    return job.job_id


def _left_to_dispatcher(platform: Platform, job: NewJob) -> NewJob:
    """Let no message be pushed before it is known whether there is a row."""
    return job if job.due_at is not None else replace(job, due_at=platform.clock(), enqueued_at=None)
