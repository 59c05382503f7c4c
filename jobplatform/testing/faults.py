"""What a test lets go wrong: which run dies and where, which message comes twice, whose lease is lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jobplatform.errors import JobOptionError

POINTS = ("before", "during", "after effect", "after")


class Crashed(BaseException):
    """The process of a worker ends here; nothing in a job is to catch it."""


@dataclass(slots=True)
class Fault:
    """Something that goes wrong.

    :param kind: ``crash``, ``twice`` or ``stale``.
    :param matches: tells of a job id and a job type whether it is meant.
    :param at: where in the run.
    :param times: in how many runs it still goes wrong.
    """

    kind: str
    matches: Callable[[str, str], bool]
    at: str
    times: int


class Faults:
    """Faults that are to come, and the one that hangs over the run of now."""

    def __init__(self) -> None:
        self._planned: list[Fault] = []
        self._armed: str | None = None

    def plan(self, kind: str, job: Any, at: str, times: int) -> None:
        """Plan a fault.

        :param job: a job type, its name, a job id, or a result.
        :raises JobOptionError: when there is no such point.
        """
        known = POINTS if kind == "crash" else ("before", "after")
        if at not in known:
            raise JobOptionError(f"{kind}: at: {at!r} is no point of a run; give one of {', '.join(known)}")
        self._planned.append(Fault(kind, matching(job), at, times))

    def take(self, kind: str, job_id: str, job_type: str) -> str | None:
        """Give where the run of a job goes wrong in a way, None if it does not."""
        for fault in self._planned:
            if fault.kind == kind and fault.times > 0 and fault.matches(job_id, job_type):
                fault.times -= 1
                return fault.at
        return None

    def left(self) -> list[Fault]:
        """List what was planned and has not come."""
        return [fault for fault in self._planned if fault.times > 0]

    def arm(self, at: str | None) -> None:
        """Let the run of now die at a point."""
        self._armed = at

    def reach(self, at: str) -> None:
        """Die if this is the point.

        :raises Crashed: when it is.
        """
        if self._armed == at:
            self._armed = None
            raise Crashed(at)


def matching(job: Any) -> Callable[[str, str], bool]:
    """Give what tells whether a job is meant.

    :param job: a job type, its name, a job id, or a result.
    """
    name = getattr(job, "name", None) if not isinstance(job, str) else job
    wanted = {name, getattr(job, "id", None)} - {None}
    if not wanted:
        raise JobOptionError(f"{job!r} names no job; give a job type, its name, a job id, or a result")
    return lambda job_id, job_type: job_id in wanted or job_type in wanted
