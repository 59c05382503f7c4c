"""A job with a bug that the benchmark can fix."""

from __future__ import annotations

from benchmarks.apps.scratch import scratch
from benchmarks.apps.work import FIXED, RUNS
from jobplatform import job
from jobplatform.celery import app as app


@job(max_retries=0)
def charge(order: int) -> None:
    """Fail of one error, whose text is different each time, until the bug is fixed."""
    scratch().incr(RUNS)
    if not scratch().exists(FIXED):
        raise LookupError(f"order {order} has no account")


def submit_charges(jobs: int) -> None:
    """Submit so many jobs."""
    charge.submit_many([{"order": number} for number in range(jobs)])
