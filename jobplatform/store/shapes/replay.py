"""A replay of dead letters, as statements give it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypedDict


class ReplayAsked(TypedDict):
    """A replay that begins; it stops when one of the errors comes back on which it is to."""

    replay_id: int
    state: str
    jobs: int
    rate: float | None
    canaries: int | None
    stop_on: list[str]


class ReplayListed(TypedDict):
    """A replay of a list, and the dead letters that were chosen for it."""

    replay_id: int
    state: str
    jobs: int
    rate: float | None
    step: int
    asked_by: str
    asked_at: datetime
    ended_at: datetime | None
    reason: str | None
    chosen: dict[str, Any]


class Replay(ReplayListed):
    """A replay with its jobs by state."""

    canaries: int | None
    step_size: int
    stop_on: list[str]
    waiting: int
    sent: int
    succeeded: int
    failed: int
    skipped: int


class Trouble(TypedDict):
    """A job of a replay that did not go well."""

    job_id: str
    dlq_id: int
    state: str
    attempt: int | None
    error_type: str | None
    fingerprint: str | None
    reason: str | None


class LetterReplayed(TypedDict):
    """A dead letter that was to run at once, and whether it does."""

    dlq_id: int
    job_id: str
    job_type: str
    error_type: str | None
    outcome: str


class ReplayCount(TypedDict):
    """How many jobs of a kind a replay would run; those that are ``refused`` have not ended, or are gone."""

    job_type: str
    queue: str | None
    fingerprint: str | None
    jobs: int
    refused: int


class Unfit(TypedDict):
    """How many payloads do not fit their job type any more, why, and one of them."""

    job_type: str
    field: str
    problem: str
    jobs: int
    fix: str
    dlq_id: int


class LimitMet(TypedDict):
    """A limit that a replay meets, and the seconds that it takes at least for that."""

    name: str
    slots: int | None
    rate: float | None
    jobs: int
    units: int
    seconds: float | None
