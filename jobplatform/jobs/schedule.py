"""What ``@job`` says of when a job type runs by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from jobplatform.errors import JobOptionError
from jobplatform.recurrence import parse


class Misfire(StrEnum):
    """Which of the missed times are made up for: none, the last, all, or the last ones within a window."""

    SKIP = "skip"
    ONCE = "once"
    ALL = "all"
    WINDOW = "window"


class Overlap(StrEnum):
    """What becomes of a time at which the jobs before have not ended.

    It is skipped; one waits for their end, or all do; the others are cancelled, and had their time to stop before it
    begins, or have not; or it begins beside them.
    """

    SKIP = "skip"
    BUFFER_ONE = "buffer_one"
    BUFFER_ALL = "buffer_all"
    CANCEL_OTHER = "cancel_other"
    TERMINATE_OTHER = "terminate_other"
    ALLOW_ALL = "allow_all"


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a job type runs by itself, and with which arguments.

    :param cron: five fields, ``@daily`` and the like, or ``@every 90s``.
    :param timezone: an IANA name.
    :param misfire: what becomes of missed times: ``skip``, ``once``, ``all``, or ``window``: the last ``misfire_cap``
        within ``misfire_window`` seconds.
    :param misfire_grace: seconds by which a time may be late and is not missed.
    :param overlap: what becomes of a time at which the job before has not ended.
    :param jitter: seconds by which each fire comes later at the most, by chance.
    :param spread: seconds by which all fires come later at the most, by the schedule's name.
    :param args: positional arguments; ``{fire_at}`` and ``{name}`` in texts are filled in.
    """

    cron: str
    timezone: str = "UTC"
    misfire: str = "once"
    misfire_grace: float = 60.0
    misfire_window: float = 3600.0
    misfire_cap: int = 100
    overlap: str = "skip"
    jitter: float = 0.0
    spread: float = 0.0
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        parse(self.cron, self.timezone)
        for name, known in (("misfire", Misfire), ("overlap", Overlap)):
            if getattr(self, name) not in set(known):
                raise JobOptionError(f"{name}: {getattr(self, name)!r} is not known; give one of {', '.join(known)}")
        for name in ("misfire_grace", "misfire_window", "misfire_cap", "jitter", "spread"):
            if not getattr(self, name) >= 0:
                raise JobOptionError(f"{name}: {getattr(self, name)!r} is below 0; raise it")

    def as_row(self) -> dict[str, Any]:
        """Give what a row of ``job_schedules`` holds of it."""
        names = (
            "timezone", "misfire", "misfire_grace", "misfire_window", "misfire_cap", "overlap", "jitter", "spread",
        )  # fmt: skip
        values = {name: getattr(self, name) for name in names}
        template = {"args": list(self.args), "kwargs": dict(self.kwargs)}
        return {**values, "cron_expression": self.cron, "payload_template": template}
