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


class ClusterShown(Cluster):
    """Errors of one kind, with the traceback of one of them, and how many dead letters are open."""

    traceback: str | None
    open_dead_letters: int


class ClusterLetter(TypedDict):
    """An open dead letter of a cluster."""

    dlq_id: int
    job_id: str
    job_type: str
    reason: str | None
    failed_at: datetime


class ClusterNote(TypedDict):
    """What somebody noted on a cluster."""

    note_id: int
    fingerprint: str
    note: str
    noted_by: str
    noted_at: datetime
