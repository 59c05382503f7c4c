"""A batch and its events, as statements give them."""

from __future__ import annotations

from datetime import datetime
from typing import TypedDict


class BatchListed(TypedDict):
    """A batch of a list; its counts lag by a moment."""

    batch_id: str
    name: str
    state: str
    total: int
    completed: int
    failed: int
    cancelled: int
    percent: float
    eta: float | None
    created_at: datetime
    closed_at: datetime | None
    cancelled_at: datetime | None


class Batch(BatchListed):
    """A batch; ``eta`` is in seconds from now."""

    running: int
    waiting: int
    cancel_reason: str | None


class BatchEvent(TypedDict):
    """An event of a batch, when it came, and the job that it has made."""

    event: str
    at: datetime | None
    job_type: str | None
    job_id: str | None
    status: str | None
