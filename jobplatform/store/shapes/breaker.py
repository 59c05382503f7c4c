"""A breaker, as statements give it."""

from __future__ import annotations

from datetime import datetime
from typing import TypedDict


class Breaker(TypedDict):
    """A breaker, and how many jobs it holds."""

    cause: str
    state: str
    reason: str
    opened_at: datetime
    probe_at: datetime | None
    probes: int
    canary_at: datetime | None
    job_types: list[str]
    forced: str | None
    forced_by: str | None
    closed_at: datetime | None
    updated_at: datetime
    held: int
