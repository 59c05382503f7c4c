"""A steady load, and a job of a schedule that brings several times as much of it at once."""

from __future__ import annotations

import time

from jobplatform import job
from jobplatform.celery import app as app


@job(max_retries=0)
def steady(seconds: float) -> None:
    """Work for some time."""
    time.sleep(seconds)


@job(max_retries=0)
def surge(count: int, seconds: float) -> None:
    """Bring many jobs at once."""
    steady.submit_many([(seconds,)] * count)
