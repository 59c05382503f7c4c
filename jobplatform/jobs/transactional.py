"""Submissions inside the caller's own SQLAlchemy transaction: visible only if it commits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from jobplatform.jobs import admission, submission
from jobplatform.jobs.chunk import Chunk, publish_chunk
from jobplatform.jobs.platform import Platform
from jobplatform.records import NewJob, rows_like


def submit(platform: Platform, job: NewJob, handle: Any) -> None:
    """Write a job's row in the caller's transaction, and publish it right after the commit.

    A plain connection tells nobody that it has committed, so its jobs are published by the dispatcher.

    :param handle: an SQLAlchemy Session or Connection.
    """
    from jobplatform.store import new_jobs
    from jobplatform.store.after_commit import after_commit

    publishes = job.due_at is None
    told = publishes and after_commit(handle, lambda: _publish(platform, job))
    if publishes and not told:
        job = replace(job, due_at=platform.clock(), enqueued_at=None)
    transaction = platform.transaction_on(handle)
    if job.after or job.batch_id:
        admission.check(transaction, job)
    new_jobs.insert_one(transaction, job)


def submit_many(platform: Platform, like: NewJob, chunks: Iterable[Chunk], handle: Any) -> None:
    """Write the rows of many jobs in the caller's transaction, and publish them right after the commit."""
    from jobplatform.store import new_jobs
    from jobplatform.store.after_commit import after_commit

    taken: list[Chunk] = []
    publishes = like.due_at is None
    if publishes and not after_commit(handle, lambda: _publish_chunks(platform, like, taken)):
        like = replace(like, due_at=platform.clock(), enqueued_at=None)
    transaction = platform.transaction_on(handle)
    if like.after or like.batch_id:
        admission.check(transaction, like)
    for chunk in chunks:
        taken.append(chunk)
        new_jobs.insert(transaction, rows_like(chunk.like(like), chunk.pairs), edges=bool(like.after))


def _publish_chunks(platform: Platform, like: NewJob, chunks: list[Chunk]) -> None:
    for chunk in chunks:
        publish_chunk(platform, like, chunk)


def _publish(platform: Platform, job: NewJob) -> None:
    submission.publish_or_leave(platform, [job.job_id], lambda: platform.publisher.push(submission.message_of(job)))
