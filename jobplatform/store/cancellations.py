"""The rows of ``cancellations``: how many jobs were cancelled in their rows, by whoever did so, to be counted."""

from __future__ import annotations

from jobplatform.decision import Moved
from jobplatform.states import State
from jobplatform.store.database import Transaction
from jobplatform.store.statement import Statement

TAKE_CANCELLATIONS = Statement(
    "take_cancellations",
    """
    with taken as (
        delete from @cancellations where cancellation_id in (
            select cancellation_id from @cancellations order by cancellation_id limit %(limit)s for update skip locked
        ) returning job_type, queue, jobs
    )
    select job_type, queue, sum(jobs)::int as jobs from taken group by job_type, queue
    """,
    {"limit": 1},
)


def count_sql(source: str) -> str:
    """Give the statement that notes cancelled jobs, to stand beside the one that cancels them.

    :param source: what follows ``from``: rows with ``job_type`` and ``queue``, one a job.
    """
    return f"""
    insert into @cancellations (job_type, queue, jobs)
    select job_type, queue, count(*)::int from {source} group by job_type, queue
    """


def take(transaction: Transaction, limit: int) -> list[Moved]:
    """Take what was noted out of the table, so many rows at most, to be counted once this is committed."""
    rows = transaction.rows(TAKE_CANCELLATIONS, limit=limit)
    return [Moved(row["job_type"], row["queue"], str(State.CANCELLED), row["jobs"]) for row in rows]
