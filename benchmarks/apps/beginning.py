"""The job by which the start of a worker is timed: it notes when its first line ran, whatever comes after."""

from __future__ import annotations

import time

from benchmarks.apps.scratch import BEGUN, RELEASE, scratch
from jobplatform import job
from jobplatform.celery import app as app


@job
def hold() -> None:
    """Run until the benchmark lets go."""
    began = time.monotonic()
    scratch().rpush(BEGUN, began)
    while not scratch().exists(RELEASE):
        time.sleep(0.05)
