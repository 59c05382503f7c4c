"""What rows look like that statements give and that are told as they are; from these the document of the API is made.

A test holds answers against them, so that a column that is added is added here.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypedDict

#: What a job is given or gives, as JSON; ``{"withheld": "jobs.payload"}`` to who may not see it.
Body = Any


class JobListed(TypedDict):
    """A job of a list."""

    job_id: str
    job_type: str
    status: str
    priority: int
    queue: str
    attempt: int
    retry_count: int
    max_retries: int
    created_at: datetime
    updated_at: datetime
    scheduled_at: datetime | None
    started_at: datetime | None
    completed_at: datetime | None
    due_at: datetime | None
    worker_id: str | None
    error_type: str | None
    error_message: str | None
    tags: list[str] | None
    tenant: str | None
    root_id: str | None
    parent_id: str | None
    batch_id: str | None


class Job(JobListed):
    """A job, with what it was given and what it gave; times are ISO 8601, durations seconds."""

    payload: Body
    result: Body
    progress: Any
    fingerprint: str | None
    enqueued_at: datetime | None
    expires_at: datetime | None
    deadline_at: datetime | None
    timeout: float | None
    soft_timeout: float | None
    unique_key: str | None
    limit_key: str | None
    units: int
    retry_rule: dict[str, Any] | None
    hold_reason: str | None
    hold_by: str | None
    hold_until: datetime | None
    duration_key: str | None
    predicted_p10: float | None
    predicted_p50: float | None
    predicted_p90: float | None
    predicted_by: str | None
    edited_from: str | None
    edited_as: list[str] | None


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


class Edge(TypedDict):
    """One job that waits for another, with the state and the type of the other one than was asked for."""

    job_id: str
    depends_on_job_id: str
    policy: str
    on_failure: str
    outcome: str | None
    reason: str | None
    status: str | None
    job_type: str | None


class AttemptLog(TypedDict):
    """What the code of an attempt has logged."""

    job_id: str
    attempt: int
    logged_at: datetime
    text: str
    cut: int


class Queue(TypedDict):
    """A queue, and whether and why it is paused."""

    name: str
    waiting: int
    paused: bool
    reason: str | None
    paused_by: str | None
    paused_at: datetime | None
    paused_until: datetime | None


class Worker(TypedDict):
    """A worker, as it was seen last."""

    worker_id: str
    name: str
    pid: int | None
    status: str
    duty: str
    duty_reason: str | None
    duty_by: str | None
    duty_since: datetime | None
    duty_grace: float | None
    started_at: datetime | None
    last_seen_at: datetime
    report: dict[str, Any] | None


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


class LetterListed(TypedDict):
    """A dead letter of a list."""

    dlq_id: int
    job_id: str
    job_type: str
    error_type: str | None
    error_message: str | None
    reason: str | None
    fingerprint: str | None
    retry_count: int
    attempt: int
    failed_at: datetime
    edited_at: datetime | None
    resolution: str | None
    resolved_at: datetime | None
    replay_id: int | None


class Letter(LetterListed):
    """A dead letter: what its job failed with, and what becomes of it."""

    payload: Body
    edited_payload: Body
    edited_by: str | None
    last_execution_id: int | None
    death: dict[str, Any] | None
    resolved_by: str | None
    note: str | None
    replayed_attempt: int | None
    earlier: list[int] | None
    later: list[int] | None
    awaits: bool | None
    queue: str | None
    tenant: str | None


class Cluster(TypedDict):
    """Errors of one kind."""

    fingerprint: str
    error_type: str
    text: str
    dependency: str | None
    sample: str | None
    sample_job: str | None
    job_types: dict[str, int]
    releases: list[str]
    errors: int
    first_seen: datetime
    last_seen: datetime
    state: str
    muted: bool
    assignee: str | None
    resolved_at: datetime | None
    reopened: int
    merged_into: str | None


class JobTypeListed(TypedDict):
    """A job type of a list; ``checked`` says whether there is a schema of its arguments."""

    name: str
    queue: str | None
    words: str
    checked: bool
    options: dict[str, Any]
    tool: bool
    changed_at: datetime


class JobType(TypedDict):
    """A job type, with the JSON Schema of its arguments."""

    name: str
    queue: str | None
    words: str
    schema: dict[str, Any] | None
    positional: list[str]
    options: dict[str, Any]
    tool: bool
    changed_at: datetime


class SavedFilter(TypedDict):
    """A filter that somebody keeps."""

    name: str
    filter: str
    columns: list[str]
    saved_at: datetime
