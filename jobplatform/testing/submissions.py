"""Jobs as a test sees them, and whether the one that it expects is among them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from jobplatform.states import FINAL, State

#: So many submissions are shown when none is as wanted.
_SHOWN = 5
_MISSING = "(not given)"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One start of a job."""

    number: int
    status: State
    error_type: str | None
    error_message: str | None
    traceback: str | None
    #: What its worker said after the attempt had been taken from it.
    stale: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it is now.

    :param payload: its arguments by name, as far as its code is here.
    :param due_at: when it runs by itself; None when that does not hang on the time.
    :param after: the ids of the jobs that it waits for.
    :param reasons: why each failed attempt was given another, or was the last.
    :param dead: whether it is among the dead letters.
    """

    id: str
    type: str
    status: State
    payload: Mapping[str, Any]
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    queue: str
    priority: int
    attempt: int
    retry_count: int
    due_at: datetime | None
    result: Any
    error_type: str | None
    error_message: str | None
    progress: Mapping[str, Any] | None
    state: Any
    parent_id: str | None
    batch_id: str | None
    tenant: str | None
    tags: tuple[str, ...]
    timeout: float | None
    soft_timeout: float | None
    after: tuple[str, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    reasons: tuple[str, ...] = ()
    dead: bool = False

    @property
    def ended(self) -> bool:
        """Whether nothing more becomes of it."""
        return self.status in FINAL

    def __str__(self) -> str:
        """Say in a line what it is."""
        given = ", ".join(f"{name}={value!r}" for name, value in self.payload.items())
        return f"{self.type}({given}) on {self.queue!r}, {self.status}"


def job_of(
    row: Mapping[str, Any],
    names: Callable[[str, Sequence[Any], Mapping[str, Any]], Mapping[str, Any]],
    attempts: Sequence[Mapping[str, Any]],
    reasons: Sequence[str],
    after: Sequence[str],
    dead: bool,
) -> Job:
    """Give a job as a test sees it.

    :param names: gives the arguments of a job type by name.
    """
    args, kwargs = row["payload"].get("args", []), row["payload"].get("kwargs", {})
    due_at = None if row["due_at"] is None else datetime.fromtimestamp(row["due_at"], UTC)
    return Job(
        row["job_id"], row["job_type"], State(row["status"]), names(row["job_type"], args, kwargs), args, kwargs,
        row["queue"], row["priority"], row["attempt"], row["retry_count"], due_at, row["result"], row["error_type"],
        row["error_message"], row["progress"], row["checkpoint"], row["parent_id"], row["batch_id"], row["tenant"],
        tuple(row["tags"] or ()), row["timeout"], row["soft_timeout"], tuple(after), tuple(map(_attempt, attempts)),
        tuple(reasons), dead,
    )  # fmt: skip


def _attempt(row: Mapping[str, Any]) -> Attempt:
    return Attempt(
        row["attempt"], State(row["status"]), row["error_type"], row["error_message"], row["traceback"],
        row["metrics"].get("stale"),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a submission is to be like; what is not said may be anything."""

    type: str
    payload: Mapping[str, Any] = field(default_factory=dict)
    queue: str | None = None
    after: tuple[str, ...] = ()

    def differences(self, job: Job) -> list[str]:
        """Say what is otherwise, a line each; nothing for a job that is as wanted."""
        found = []
        if job.type != self.type:
            found.append(f"type: wanted {self.type!r}, it is {job.type!r}")
        for name, value in self.payload.items():
            given = job.payload.get(name, _MISSING)
            if given is _MISSING or given != value:
                found.append(f"{name}: wanted {value!r}, it is {given if given is _MISSING else repr(given)}")
        if self.queue is not None and job.queue != self.queue:
            found.append(f"queue: wanted {self.queue!r}, it is {job.queue!r}")
        found += [
            f"after: wanted {each}, it waits for {list(job.after)}" for each in self.after if each not in job.after
        ]
        return found

    def __str__(self) -> str:
        """Say in a line what it is."""
        given = ", ".join(f"{name}={value!r}" for name, value in self.payload.items())
        more = "".join(
            f" {name} {value!r}" for name, value in (("on", self.queue), ("after", list(self.after))) if value
        )
        return f"{self.type}({given}){more}"


def find(jobs: Sequence[Job], wanted: Wanted, count: int | None) -> list[Job]:
    """Give the jobs that are as wanted.

    :param count: how many there are to be; at least one if None.
    :raises AssertionError: with the nearest submission and what is otherwise, when there are not so many.
    """
    found = [job for job in jobs if not wanted.differences(job)]
    if len(found) == count or (count is None and found):
        return found
    raise AssertionError(_complaint(jobs, wanted, count, found))


def _complaint(jobs: Sequence[Job], wanted: Wanted, count: int | None, found: Sequence[Job]) -> str:
    times = "at least once" if count is None else f"{count} times"
    lines = [f"{wanted} was to be submitted {times}, and was {len(found)} times"]
    others = [job for job in jobs if job not in found]
    # Only what is of the type and differs in what it says is near; else any is.
    near = [job for job in others if job.type == wanted.type] or others
    near = sorted(near, key=lambda job: len(wanted.differences(job)))
    if found:
        lines += ["these were:", *(f"  {job}" for job in found[:_SHOWN])]
    elif near:
        lines += [f"the nearest is {near[0]}", *(f"  {line}" for line in wanted.differences(near[0]))]
        lines += [f"also submitted: {job}" for job in near[1:_SHOWN]]
    else:
        lines.append("nothing else was submitted either")
    return "\n".join(lines)
