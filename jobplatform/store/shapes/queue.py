"""A queue and a job type that workers take, as statements give them."""

from __future__ import annotations

from datetime import datetime
from typing import TypedDict


class Queue(TypedDict):
    """A queue, and whether and why it is paused."""

    name: str
    waiting: int
    paused: bool
    reason: str | None
    paused_by: str | None
    paused_at: datetime | None
    paused_until: datetime | None


class TypeTaken(TypedDict):
    """A job type that workers take, and whether and why it is paused."""

    name: str
    paused: bool
    reason: str | None
    paused_by: str | None
    paused_at: datetime | None
    paused_until: datetime | None


class Pause(TypedDict):
    """A queue or a job type that is paused, and why."""

    scope: str
    name: str
    reason: str
    paused_by: str
    paused_at: datetime
    paused_until: datetime | None
