"""Plain Celery: late acknowledgement, no result backend, defaults otherwise."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from celery import Celery

from benchmarks.apps import work

app = Celery("plain", broker=os.environ["REDIS_URL"])
app.conf.task_acks_late = True

noop = app.task(work.noop)
stamp = app.task(work.stamp)
submit_stamp = stamp.delay


def submit_noops(payloads: Iterable[dict[str, Any]]) -> None:
    """Submit a no-op job for each payload."""
    for item in payloads:
        noop.delay(**item)
