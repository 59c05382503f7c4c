"""A limit and the order of a queue, as statements give them."""

from __future__ import annotations

from datetime import datetime
from typing import TypedDict


class Limit(TypedDict):
    """A limit, the units that are held of it, and the lanes that wait for one."""

    name: str
    slots: int | None
    rate: float | None
    burst: float | None
    declared: bool
    updated_at: datetime
    used: int
    waiting: int


class QueueOrder(TypedDict):
    """In which order a queue is served, and what its tenants weigh, by name."""

    queue: str
    fair: bool
    age_seconds: float | None
    weights: dict[str, float]
