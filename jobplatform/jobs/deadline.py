"""Until when a job has to be done, as its submission or its type says it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from jobplatform.errors import JobOptionError


class Deadline(NamedTuple):
    """How many seconds a job has from its submission, and when they are over, in seconds since the epoch."""

    seconds: float
    at: float


def deadline_of(value: Any, now: float) -> Deadline | None:
    """Read the option ``deadline``: seconds from now, an aware datetime, or one as ISO 8601 text.

    :param now: seconds since the epoch.
    :raises JobOptionError: when it is no time, or one that has passed.
    """
    if value is None:
        return None
    seconds = _seconds(value, now)
    if not 0 < seconds < 1e9:
        raise JobOptionError(f"deadline: {value!r} leaves no time; give seconds above 0, or a time that is to come")
    return Deadline(seconds, now + seconds)


def _seconds(value: Any, now: float) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    moment = value
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            moment = None
    if not isinstance(moment, datetime):
        raise JobOptionError(f"deadline: {value!r} is no time; give seconds, or a datetime with a time zone")
    if moment.tzinfo is None:
        raise JobOptionError(f"deadline: {value!r} has no time zone; give it one, such as tzinfo=UTC")
    return moment.timestamp() - now


def chosen(wished: Deadline | None, declared: float | None, now: float, scheduled_at: float | None) -> dict[str, Any]:
    """Give the values of a row for the deadline that a submission wishes, or else its job type declares.

    :param declared: seconds from the submission.
    :param now: seconds since the epoch.
    :param scheduled_at: when the job is to begin, in seconds since the epoch.
    :raises JobOptionError: when the job could never begin.
    """
    deadline = wished or deadline_of(declared, now)
    if deadline is None:
        return {}
    if scheduled_at is not None and scheduled_at >= deadline.at:
        raise JobOptionError(
            f"deadline: it comes {scheduled_at - deadline.at:.0f} s before the job is to begin; give a later one"
        )
    return {"deadline": deadline.seconds, "deadline_at": deadline.at}
