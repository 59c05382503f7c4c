"""What every contender runs, and how its workers and jobs tell the benchmark what happened."""

from __future__ import annotations

import os
import time
from typing import Any

from celery.signals import worker_ready

from benchmarks.apps.scratch import RELEASE, scratch

#: Lists in it: workers that are ready, and start times of jobs.
READY = "ready"
STARTS = "starts"
#: Of jobs that run until the key RELEASE is there.
LONG_STARTS = "long starts"
#: The processes that run a job under a limit (hash), and how many there were at the most (zset).
CROWD = "crowd"
MOST = "most"
#: A bug is away while the key FIXED is there; RUNS counts the starts of jobs that have it.
FIXED = "fixed"
RUNS = "runs"
CROWDED_SECONDS = 0.05
SLOW_SECONDS = 0.005


def noop(order: int, customer: str, express: bool) -> None:
    """Do nothing with a small payload."""


def stamp(number: int) -> None:
    """Tell when this job was started."""
    at = time.time()
    scratch().rpush(STARTS, at)


def last() -> None:
    """Run until the benchmark lets go."""
    scratch().rpush(LONG_STARTS, os.getpid())
    while not scratch().exists(RELEASE):
        time.sleep(0.05)


def slow() -> None:
    """Take a few milliseconds."""
    time.sleep(SLOW_SECONDS)


def crowded() -> None:
    """Count how many of these run at once, and keep the most that ever did."""
    client, pid = scratch(), os.getpid()
    client.hset(CROWD, str(pid), "1")
    client.zadd(MOST, {MOST: client.hlen(CROWD)}, gt=True)
    time.sleep(CROWDED_SECONDS)
    client.hdel(CROWD, str(pid))


def payload(number: int) -> dict[str, Any]:
    """Give the keyword arguments of one no-op job."""
    return {"order": number, "customer": f"customer {number % 100}", "express": not number % 7}


@worker_ready.connect  # type: ignore[untyped-decorator, unused-ignore]
def report_ready(**_: Any) -> None:
    """Tell the benchmark that this worker takes jobs."""
    scratch().rpush(READY, os.getpid())
