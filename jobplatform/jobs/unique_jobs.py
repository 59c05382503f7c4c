"""How a job that is one of its key is submitted."""

from __future__ import annotations

import logging
from dataclasses import replace

from jobplatform.jobs import admission, submission
from jobplatform.jobs.platform import Platform
from jobplatform.jobs.wishes import Wishes
from jobplatform.records import NewJob

logger = logging.getLogger(__name__)


def submit(platform: Platform, job: NewJob, wishes: Wishes) -> str:
    """Submit a job unless its key is taken; returns the id of the job that stands for the submission.

    What a running job submits goes through the journal, and whether its key is taken is found when it is mirrored: then
    the id may be one that no row has.

    :raises KeyTaken: when the mode is ``reject``, and it is.
    """
    if wishes.transaction is not None:
        return _in_transaction(platform, job, wishes)
    if admission.goes_through_journal(platform, job):
        return _through_journal(platform, job)
    from jobplatform.store import uniqueness
    from jobplatform.store.database import UNREACHABLE

    try:
        with platform.database.transaction() as transaction:
            admission.check(transaction, job)
            found = uniqueness.submit(transaction, job)
    except UNREACHABLE as error:
        admission.refuse_unasked(job, error)
        logger.warning("PostgreSQL did not take job %s, it goes through the journal: %s", job.job_id, error)
        return _through_journal(platform, job)
    if found.publish:
        message = submission.message_of(job)
        submission.publish_or_leave(platform, [job.job_id], lambda: platform.publisher.push(message))
    return found.job_id


def _in_transaction(platform: Platform, job: NewJob, wishes: Wishes) -> str:
    from jobplatform.store import uniqueness
    from jobplatform.store.database import Transaction, connection_of

    transaction = Transaction(connection_of(wishes.transaction), platform.settings.schema)
    admission.check(transaction, job)
    return uniqueness.submit(transaction, _left_to_dispatcher(platform, job)).job_id


def _through_journal(platform: Platform, job: NewJob) -> str:
    submission.submit_through_journal(platform, _left_to_dispatcher(platform, job))
    return job.job_id


def _left_to_dispatcher(platform: Platform, job: NewJob) -> NewJob:
    """Let no message be pushed before it is known whether there is a row."""
    return job if job.due_at is not None else replace(job, due_at=platform.clock(), enqueued_at=None)
