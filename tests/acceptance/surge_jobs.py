"""A steady load, and a job of a schedule that brings several times as much of it at once."""

from __future__ import annotations

import time

from jobplatform import job

#: Seconds that each of the jobs takes that come at once.
SURGE_SECONDS = 1.5


@job(max_retries=0)
def steady(seconds: float) -> None:
    """Work for some time."""
    time.sleep(seconds)


@job(max_retries=0)
def surge(count: int) -> None:
    """Bring many jobs at once."""
    steady.submit_many([(SURGE_SECONDS,)] * count)
