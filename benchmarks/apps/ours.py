"""The platform, as ``celery -A jobplatform`` runs it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from benchmarks.apps import work
from jobplatform import job
from jobplatform.celery import app as app

noop = job(work.noop)
stamp = job(work.stamp)
last = job(work.last)
submit_stamp = stamp.submit
crowded = job(work.crowded)
slow = job(work.slow)


def submit_noops(payloads: Iterable[dict[str, Any]]) -> None:
    """Submit a no-op job for each payload: all rows in one transaction, then all messages."""
    noop.submit_many(payloads)
