"""Celery that keeps results in PostgreSQL: its SQLAlchemy backend with extended results, defaults otherwise."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from celery import Celery

from benchmarks.apps import work

backend = os.environ["DATABASE_URL"].replace("postgresql://", "db+postgresql+psycopg2://", 1)
app = Celery("with_backend", broker=os.environ["REDIS_URL"], backend=backend)
app.conf.update(task_acks_late=True, result_extended=True)

noop = app.task(work.noop)


def submit_noops(payloads: Iterable[dict[str, Any]]) -> None:
    """Submit a no-op job for each payload."""
    for item in payloads:
        noop.delay(**item)
