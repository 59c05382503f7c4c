"""A model, and who decides on retries, as statements give them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypedDict


class _Model(TypedDict):
    version: int
    kind: str
    state: str
    trained_at: datetime
    window_from: datetime | None
    window_to: datetime | None
    rows: int
    base_rate: float
    sha256: str
    reason: str | None
    retired_at: datetime | None
    size: int | None


class ModelListed(_Model):
    """A model of a list, and how it did; ``size`` is in bytes, null when it is not kept any more."""

    skill: float | None
    gap: float | None


class Model(_Model):
    """A model, and how it did on what it did not learn from; what is measured depends on its kind."""

    features: list[str]
    metrics: dict[str, Any]
    calibration: Any


class ModelScore(TypedDict):
    """How a model did against the rule: their Brier scores, and its skill with the bounds of that."""

    outcomes: int
    rule: float
    model: float
    skill: float
    low: float
    high: float
    gap: float


class Evaluation(ModelScore):
    """How a model did, over all and by job type."""

    by_type: dict[str, ModelScore]
    auc: float | None
    ece: float | None


class TypeTrial(TypedDict):
    """Who decides on the retries of a job type, and why."""

    job_type: str
    state: str
    version: int | None
    since: datetime | None
    reason: str
    score: dict[str, Any]
    forced: bool
    decides: str
    outcomes: int | None
    skill: float | None
