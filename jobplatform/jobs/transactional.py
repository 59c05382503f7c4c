"""Submissions inside the caller's own SQLAlchemy transaction: visible only if it commits."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from jobplatform.jobs import submission
from jobplatform.jobs.platform import Platform
from jobplatform.records import NewJob


def submit(platform: Platform, job: NewJob, handle: Any) -> None:
    """Write a job's row in the caller's transaction, and publish it right after the commit.

    A plain connection tells nobody that it has committed, so its jobs are published by the dispatcher.

    :param handle: an SQLAlchemy Session or Connection.
    """
    from jobplatform.store import jobs
    from jobplatform.store.database import Transaction, after_commit, connection_of

    publishes = job.due_at is None
    told = publishes and after_commit(handle, lambda: _publish(platform, job))
    if publishes and not told:
        job = replace(job, due_at=time.time(), enqueued_at=None)
    jobs.insert_one(Transaction(connection_of(handle), platform.settings.schema), job)


def _publish(platform: Platform, job: NewJob) -> None:
    submission.publish_or_leave(platform, [job.job_id], lambda: platform.publisher.push(submission.message_of(job)))
