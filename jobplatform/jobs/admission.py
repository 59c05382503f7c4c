"""What is asked before a job is written: whether what it waits for is there, and whether its batch takes it."""

from __future__ import annotations

from collections.abc import Container
from typing import TYPE_CHECKING

from jobplatform.errors import JobNotFound, StoreUnavailable
from jobplatform.jobs.membership import running_batch
from jobplatform.jobs.platform import Platform
from jobplatform.records import NewJob

if TYPE_CHECKING:
    from jobplatform.store.database import Transaction


def check(transaction: Transaction, job: NewJob, beside: Container[str] = ()) -> None:
    """Refuse a job that waits for one that nobody knows, or that is for a batch which takes no more.

    What a running job submits through the journal cannot be checked.

    :param beside: jobs that are written together with it.
    :raises JobNotFound: naming the first that nobody knows.
    :raises BatchClosed: when the batch takes no more, BatchNotFound when there is none.
    """
    from jobplatform.store import batches, jobs

    if job.batch_id and job.batch_id != running_batch():
        batches.join(transaction, job.batch_id)
    if not job.after:
        return
    unknown = jobs.missing(transaction, [edge.job_id for edge in job.after if edge.job_id not in beside])
    for edge in job.after:
        if edge.job_id in unknown:
            raise JobNotFound(f"after: job {edge.job_id}: no row stands for it; submit it first")


def goes_through_journal(platform: Platform, job: NewJob) -> bool:
    """Tell whether a submission is one of a running job, whose journal is in order.

    A job of a batch comes so from a running job of the batch, before the end of which that is not over. Others ask
    whether it is open.
    """
    return platform.in_worker and (job.batch_id is None or job.batch_id == running_batch())


def refuse_unasked(job: NewJob, error: BaseException) -> None:
    """Refuse to add a job to a batch while nobody can tell whether that is open.

    :raises StoreUnavailable: when the job is for a batch.
    """
    if job.batch_id:
        cause = str(error).partition("\n")[0]
        raise StoreUnavailable(
            f"batch {job.batch_id}: PostgreSQL is away, and nobody can tell whether it is open: {cause}; add it again"
        ) from error
