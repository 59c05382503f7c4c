"""A bulk action, as statements give it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypedDict


class BulkAction(TypedDict):
    """What is done to all jobs of a filter, how far that is, and the state of the job that does it."""

    bulk_id: int
    actor: str
    via: str
    action: str
    wish: dict[str, Any]
    filter: str
    reason: str | None
    expected: int
    whole: bool
    status: str
    place_time: datetime | None
    counts: dict[str, int]
    jobs: int
    job_id: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    cancelled_by: str | None
    job_status: str | None
