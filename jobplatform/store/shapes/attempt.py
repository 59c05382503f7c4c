"""An attempt, its log, and what was decided after it, as statements give them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypedDict


class Attempt(TypedDict):
    """An execution of a job."""

    execution_id: int
    attempt_number: int
    worker_id: str | None
    started_at: datetime | None
    completed_at: datetime | None
    status: str
    error_type: str | None
    error_message: str | None
    traceback: str | None
    metrics: dict[str, Any] | None


class AttemptLog(TypedDict):
    """What the code of an attempt has logged."""

    job_id: str
    attempt: int
    logged_at: datetime
    text: str
    cut: int


class RetryDecision(TypedDict):
    """What was decided after a failure, and on what that rests."""

    attempt: int
    action: str
    delay_seconds: float | None
    reason: str
    decided_by: str
    decided_at: datetime
    fingerprint: str | None
    dependency: str | None
    gate: str | None
    features: Any
    candidates: Any
    propensity: float | None
    chance: float | None
    eventual: float | None
    shadow: Any
    outcome: str | None
    outcome_at: datetime | None
    waited_seconds: float | None
