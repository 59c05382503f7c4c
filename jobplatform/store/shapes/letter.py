"""A dead letter and errors of its kind, as statements give them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypedDict

from jobplatform.store.shapes.body import Body


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
