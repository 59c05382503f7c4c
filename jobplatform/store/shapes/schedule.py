"""A schedule, what it fired and when it will, as statements give them."""

from __future__ import annotations

from datetime import datetime
from typing import TypedDict

from jobplatform.store.shapes.body import Body


class Schedule(TypedDict):
    """A schedule; durations are seconds."""

    schedule_id: int
    name: str
    job_type: str
    cron_expression: str
    timezone: str
    payload_template: Body
    enabled: bool
    last_run: datetime | None
    next_run: datetime | None
    created_at: datetime
    updated_at: datetime
    priority: int
    queue: str | None
    misfire: str
    misfire_grace: float
    misfire_window: float
    misfire_cap: int
    overlap: str
    jitter: float
    spread: float
    skipped: int
    problem: str | None
    origin: str
    hold_reason: str | None
    hold_by: str | None
    hold_until: datetime | None


class ScheduleListed(Schedule):
    """A schedule of a list, and why it does not fire."""

    why: str | None


class Coming(TypedDict):
    """A time at which a schedule fires."""

    local: str
    utc: datetime
    note: str


class Fire(TypedDict):
    """The job of a time at which a schedule fired."""

    job_id: str
    fire_at: datetime
    status: str
    started_at: datetime | None
    completed_at: datetime | None
    error_type: str | None


class Missed(TypedDict):
    """A schedule that nobody has fired."""

    name: str
    job_type: str
    queue: str
    next_run: datetime


class MakingUp(TypedDict):
    """What a schedule that is resumed makes up for."""

    name: str
    missed_since: datetime | None
    makes_up_for: int
    next_run: datetime | None


class Remark(TypedDict):
    """What is likely wrong with a schedule, and how to mend it."""

    schedule: str
    trap: str
    found: str
    fix: str


class RunNow(TypedDict):
    """The job of a schedule that was run whatever its time."""

    name: str
    job_id: str
