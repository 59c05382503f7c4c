"""How long jobs take, as foretold and as it was; durations are seconds, shares are of what was foretold."""

from __future__ import annotations

from datetime import date, datetime
from typing import TypedDict


class DurationListed(TypedDict):
    """How long jobs of a type take; the shares are those of the last week."""

    job_type: str
    p10: float
    p50: float
    p90: float
    decided_by: str
    runs: int
    within: float | None
    inside: float | None
    updated_at: datetime


class DurationEstimate(TypedDict):
    """How long jobs of a key take; of all of their type if it is empty."""

    key: str
    p10: float
    p50: float
    p90: float
    chance: float | None
    runs: int
    decided_by: str
    longest: float
    updated_at: datetime


class DurationDay(TypedDict):
    """How true the estimates of a type were on a day."""

    day: date
    runs: int
    judged: int
    below: float | None
    above: float | None
    within: float | None
    inside: float | None
    error: float | None
    seconds: float
    mean: float | None


class LimitSuggested(TypedDict):
    """The time limit that jobs of a type have, and those that they should have; null where too few ran."""

    job_type: str
    timeout: float | None
    suggested: float | None
    soft: float | None
    reason: str
