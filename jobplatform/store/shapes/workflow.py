"""Jobs that wait for each other, as statements give them."""

from __future__ import annotations

from datetime import datetime
from typing import TypedDict


class Workflow(TypedDict):
    """Jobs with one root, by state; ``ended_at`` is null while one of them goes on."""

    root_id: str
    jobs: int
    states: dict[str, int]
    created_at: datetime
    ended_at: datetime | None


class GraphJob(TypedDict):
    """A job, and those that it waits for."""

    job_id: str
    job_type: str
    status: str
    started_at: datetime | None
    completed_at: datetime | None
    error_type: str | None
    after: list[str]


class WorkflowJob(GraphJob):
    """A job of a workflow, and on which level it runs."""

    queue: str
    attempt: int
    level: int
