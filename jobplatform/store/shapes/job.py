"""A job and what it waits for, as statements give them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypedDict

from jobplatform.store.shapes.body import Body


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
