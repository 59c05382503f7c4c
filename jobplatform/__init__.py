"""A durable job platform on Celery, Redis and PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jobplatform.jobs.after import after
    from jobplatform.jobs.attach import attach
    from jobplatform.jobs.batch import batch, find_batch
    from jobplatform.jobs.client import submit
    from jobplatform.jobs.context import current_job
    from jobplatform.jobs.decorator import job
    from jobplatform.jobs.retry import RetryRule
    from jobplatform.jobs.schedule import Schedule
    from jobplatform.jobs.steering import (
        cancel,
        move,
        pause,
        pause_queue,
        pause_type,
        resume,
        resume_queue,
        resume_type,
    )
    from jobplatform.jobs.unique import Unique
    from jobplatform.jobs.workflow import Workflow

__version__ = "0.1.0"

__all__ = [
    "RetryRule",
    "Schedule",
    "Unique",
    "Workflow",
    "__version__",
    "after",
    "attach",
    "batch",
    "cancel",
    "current_job",
    "find_batch",
    "job",
    "move",
    "pause",
    "pause_queue",
    "pause_type",
    "resume",
    "resume_queue",
    "resume_type",
    "submit",
]

_STEERING = ("cancel", "move", "pause", "pause_queue", "pause_type", "resume", "resume_queue", "resume_type")
_HOMES = {
    "RetryRule": "jobplatform.jobs.retry",
    "Schedule": "jobplatform.jobs.schedule",
    "Unique": "jobplatform.jobs.unique",
    "Workflow": "jobplatform.jobs.workflow",
    "after": "jobplatform.jobs.after",
    "attach": "jobplatform.jobs.attach",
    "batch": "jobplatform.jobs.batch",
    "current_job": "jobplatform.jobs.context",
    "find_batch": "jobplatform.jobs.batch",
    "job": "jobplatform.jobs.decorator",
    "submit": "jobplatform.jobs.client",
    **dict.fromkeys(_STEERING, "jobplatform.jobs.steering"),
}


def __getattr__(name: str) -> Any:
    """Load a public name on first use, so that importing the package stays cheap.

    ``celery -A jobplatform`` asks for ``app`` and ``celery``; that module is found by the import system.
    """
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
