"""For those who test an application that uses jobplatform; the pytest plugin ``jobplatform`` gives the fixtures."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jobplatform.testing.runner import JobRunner as JobRunner
    from jobplatform.testing.runner import NotEnded as NotEnded
    from jobplatform.testing.stack import JobStack as JobStack
    from jobplatform.testing.submissions import Attempt as Attempt
    from jobplatform.testing.submissions import Job as Job

_HOMES = {
    "Attempt": "submissions",
    "Job": "submissions",
    "JobRunner": "runner",
    "JobStack": "stack",
    "NotEnded": "runner",
}

__all__ = ["Attempt", "Job", "JobRunner", "JobStack", "NotEnded"]


def __getattr__(name: str) -> Any:
    """Load what is asked for: pytest imports this package in every run, also of those who never use it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
