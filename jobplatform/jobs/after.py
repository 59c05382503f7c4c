"""What a job waits for, as its submission says it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from jobplatform.errors import JobOptionError
from jobplatform.records import Edge, job_id_of

_POLICIES = ("success", "finished", "failure")
_ON_FAILURE = ("cancel", "continue", "hold")


def after(job: Any, policy: str = "success", on_failure: str = "cancel") -> Edge:
    """Wait for a job.

    :param job: its id, or its ``AsyncResult``.
    :param policy: the end that is asked for: ``success``, ``failure``, or ``finished`` for either.
    :param on_failure: what becomes of the job that waits when the end is another one: it is cancelled, goes on
        (``continue``) or is held until somebody resumes it (``hold``).
    :raises JobOptionError: when one of them is not known.
    """
    task_id = getattr(job, "id", job)
    if not isinstance(task_id, str) or not task_id:
        raise JobOptionError(f"after: {job!r} is no job; give its id or its AsyncResult")
    for name, value, known in (("policy", policy, _POLICIES), ("on_failure", on_failure, _ON_FAILURE)):
        if value not in known:
            raise JobOptionError(f"after: {name}: {value!r} is not known; give one of {', '.join(known)}")
    return Edge(job_id_of(task_id), policy, on_failure)


def edges_of(value: Any) -> tuple[Edge, ...]:
    """Read the option ``after``: one or several of what ``after()`` gives, job ids and results.

    :raises JobOptionError: when something in it is no job.
    """
    if value is None:
        return ()
    several = isinstance(value, Iterable) and not isinstance(value, (str, Edge)) and not hasattr(value, "id")
    found = [item if isinstance(item, Edge) else after(item) for item in (value if several else [value])]
    return tuple({edge.job_id: edge for edge in found}.values())
