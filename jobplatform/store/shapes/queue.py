"""A queue, as statements give it."""

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
