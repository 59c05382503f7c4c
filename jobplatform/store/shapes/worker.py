"""A worker, as statements give it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypedDict


class Worker(TypedDict):
    """A worker, as it was seen last."""

    worker_id: str
    name: str
    pid: int | None
    status: str
    duty: str
    duty_reason: str | None
    duty_by: str | None
    duty_since: datetime | None
    duty_grace: float | None
    started_at: datetime | None
    last_seen_at: datetime
    report: dict[str, Any] | None
