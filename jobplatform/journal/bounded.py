"""The part of a request that ends an attempt at the deadline of its job."""

from __future__ import annotations

from datetime import UTC, datetime
from math import inf
from typing import Any, NamedTuple

from billiard.exceptions import SoftTimeLimitExceeded, TimeLimitExceeded

from jobplatform.errors import DeadlineExceeded
from jobplatform.journal.failure import describe, describe_deadline
from jobplatform.journal.foreign import DEADLINE_HEADER
from jobplatform.journal.recording import Recording
from jobplatform.journal.stoppable import StoppableRequest

#: The shortest time limit, in seconds: Celery takes 0 for none.
_LEAST = 0.01
#: Header and row may differ by so much, as each rounds the time in its own way, in seconds.
_ROUNDING = 0.001


class Limits(NamedTuple):
    """After how many seconds an attempt is killed and warned, and which of that the deadline says."""

    hard: float | None
    soft: float | None
    hard_by_deadline: bool = False
    soft_by_deadline: bool = False


def limits_of(timeout: float | None, soft_timeout: float | None, left: float, grace: float) -> Limits:
    """Bound the time limits of an attempt by its deadline, before which it has as long to clean up as it has otherwise.

    :param timeout: seconds, as are all others.
    :param left: until the deadline.
    :param grace: between warning and end for a job that has only the former.
    """
    hard = max(_LEAST, min(timeout or inf, left))
    by_deadline = left < (timeout or inf)
    if not soft_timeout:
        return Limits(hard, None, by_deadline)
    warned = hard - min(timeout - soft_timeout if timeout else grace, hard / 2)
    return Limits(hard, min(soft_timeout, warned), by_deadline, warned < soft_timeout)


class BoundedRequest(StoppableRequest):
    """Celery's request, whose job may have a deadline."""

    expires: Any
    _limits = Limits(None, None)

    @property
    def deadline(self) -> float | None:
        """Until when the job has to be done, in seconds since the epoch."""
        value: float | None = self._request_dict.get(DEADLINE_HEADER)
        return value

    def _bounded_limits(self) -> tuple[float | None, float | None]:
        """Give the seconds after which this attempt is killed, and those after which it is warned."""
        hard, soft = self.time_limits
        hard, soft = hard or self._task.time_limit, soft or self._task.soft_time_limit
        if self.deadline is None:
            return hard, soft
        self._limits = limits_of(hard, soft, self.deadline - Recording.clock(), Recording.stop_seconds)
        return self._limits.hard, self._limits.soft

    def _lateness(self) -> str:
        """Say what a job was too late for that is not begun any more."""
        by_deadline = self.deadline is not None and self.expires.timestamp() >= self.deadline - _ROUNDING
        return "DeadlineExceeded" if by_deadline else "Expired"

    def _describe(self, error: BaseException, traceback: str | None, now: float) -> dict[str, Any]:
        """Describe a failure for the journal; that of a limit which the deadline set is its own."""
        hard, soft = isinstance(error, TimeLimitExceeded), isinstance(error, SoftTimeLimitExceeded)
        if (hard and self._limits.hard_by_deadline) or (soft and self._limits.soft_by_deadline):
            at = datetime.fromtimestamp(self.deadline or 0.0, UTC).isoformat(timespec="seconds")
            ended = "its process was ended" if hard else "it stopped when it was warned"
            return describe_deadline(f"the deadline of the job is {at}, and {ended}", traceback)
        if isinstance(error, DeadlineExceeded):
            return describe_deadline(str(error), traceback)
        return describe(error, traceback, now)
