"""A worker, how it is, and what its jobs take, as statements give them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypedDict


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


class WorkerDead(TypedDict):
    """A worker that went without a goodbye."""

    name: str
    worker_id: str
    last_seen_at: datetime


class WorkerJudged(TypedDict):
    """A worker with what is thought of it; its memory is in bytes, and grows by so many a second if it surely does."""

    worker_id: str
    name: str
    status: str
    duty: str
    verdict: str | None
    confidence: float | None
    reason: str | None
    judged_at: datetime | None
    last_seen_at: datetime
    tree_rss: int | None
    memory_left: int | None
    grows: float | None


class Verdict(TypedDict):
    """What was thought of a worker, and on what that rests."""

    worker_id: str
    verdict: str
    confidence: float
    reason: str
    decided_by: str
    features: dict[str, Any]
    judged_at: datetime


class ProcessSample(TypedDict):
    """A process of a worker, and its memory in bytes."""

    pid: int
    rss: int
    cpu: float


class WorkerSample(TypedDict):
    """How a worker was at a time: bytes of memory, and seconds; ``at`` counts since the epoch."""

    worker_id: str
    sampled_at: datetime
    seconds: float
    cpu: float
    rss: int
    tree_rss: int
    rss_slope: float | None
    memory_left: int | None
    memory_limit: int | None
    processes: list[ProcessSample]
    open_files: int | None
    disk_free: int | None
    slots: int
    active: int
    waiting: int
    started: int
    finished: int
    failed: int
    loop_wait: float | None
    jitter: float | None
    at: float


class HungryType(TypedDict):
    """A job type that takes much memory, in bytes, since when, and what to do in words."""

    job_type: str
    queue: str
    needs: float
    usual: float
    raised: int
    deaths: int
    lane: str
    since: datetime | None
    words: str
