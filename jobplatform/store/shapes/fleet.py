"""How many workers there are to be, and who replaces whom, as statements give it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypedDict


class FleetWish(TypedDict):
    """How many workers somebody asked for; ``published`` shrinks only when workers may go."""

    pool: str
    wanted: int
    published: int
    reason: str
    asked_by: str
    asked_at: datetime


class PublishedWish(TypedDict):
    """What Kubernetes is told."""

    workers: int
    wanted: int
    reason: str


class Replacement(TypedDict):
    """The replacement of a worker, in words as well."""

    replacement_id: int
    pool: str
    worker_id: str
    name: str
    reason: str
    asked_by: str
    asked_at: datetime
    successor: str | None
    ready_at: datetime | None
    drained_at: datetime | None
    ended_at: datetime | None
    outcome: str | None
    sentence: str


class ScaleDecision(TypedDict):
    """A decision on the number of workers: why, what was foretold, and what the rate rule would have wanted."""

    decision_id: int
    decided_at: datetime
    pool: str
    queues: list[str]
    had: int
    wanted: int
    level: str
    probability: float
    forecast: dict[str, Any]
    reason: str
    counterfactual: str
    decided_by: str
    dry_run: bool
    acted_at: datetime | None
