"""Celery that keeps results in Redis, as its chords want it: late acknowledgement, defaults otherwise."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from celery import Celery, chain, chord

from benchmarks.apps import work

app = Celery("with_redis_results", broker=os.environ["REDIS_URL"], backend=os.environ["REDIS_URL"])
app.conf.task_acks_late = True

noop = app.task(work.noop)
stamp = app.task(work.stamp)


def submit_noops(payloads: Iterable[dict[str, Any]]) -> None:
    """Submit a no-op job for each payload."""
    for item in payloads:
        noop.delay(**item)


def submit_join(leaves: int) -> None:
    """Submit no-op jobs, and one that waits for them all."""
    chord([noop.si(**work.payload(number)) for number in range(leaves)])(stamp.si(leaves))


def submit_chain(length: int) -> None:
    """Submit jobs each of which waits for the one before."""
    chain(*(stamp.si(number) for number in range(length))).apply_async()
