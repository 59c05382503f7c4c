"""When a worker is replaced, and the steps from there until the old one is gone; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from jobplatform.workers.fleet import Member, Stage
from jobplatform.workers.verdict import SURE, VERDICTS

#: What a rule finds that foretells nothing: a worker that does nothing any more is missed, not risked.
_STANDING = ("event loop",)
#: Of such workers so many are replaced in a window: it may be a job that lets one after the other stand still.
_MOST_STANDING = 3
#: A process that is stopped stands still once it misses so many heartbeats; any other may be slow until it is stale.
STOPPED_BEATS = 2


class Case(NamedTuple):
    """A worker with what was said of it last.

    :param rule: what found it, in a word.
    :param in_a_row: how many verdicts in a row said that it is surely failing.
    """

    worker_id: str
    name: str
    verdict: str
    confidence: float
    reason: str
    rule: str
    in_a_row: int

    @property
    def is_failing(self) -> bool:
        """Tell whether the latest verdicts agree that it is failing; a single one proves nothing."""
        return self.verdict == "failing" and self.confidence > SURE and self.in_a_row >= VERDICTS

    @property
    def is_standing(self) -> bool:
        """Tell whether it does nothing any more."""
        return self.rule in _STANDING


class Lately(NamedTuple):
    """How many were replaced in the window, and when the last one was."""

    times: int = 0
    last: datetime | None = None


#: What is noted of a worker that died without a sign.
SUDDENLY = (
    "its main process ended without a goodbye, as SIGKILL or the kernel ends it when memory is short; nothing spoke "
    "against it before, so no warning was possible; its jobs are rescued"
)


class Choice(NamedTuple):
    """Whom to replace, None for nobody; and why.

    :param stays: who is failing, and is not replaced for all that.
    """

    case: Case | None
    reason: str
    stays: Case | None = None


def choose(cases: Sequence[Case], working: int, lately: Lately, off: str = "") -> Choice:
    """Choose the worker that is replaced next: one that stands still, or else the one that is failing most surely.

    :param working: how many workers take jobs.
    :param off: why nobody is replaced here, in words; "" where workers are.
    """
    failing = [case for case in cases if case.is_failing]
    if not failing:
        return Choice(None, "no worker was found failing twice in a row with enough confidence")
    worst = max(failing, key=lambda case: (case.is_standing, case.confidence))
    found = (
        f"{worst.name} is failing (confidence {worst.confidence:.2f}, {worst.in_a_row} verdicts in a row): "
        f"{worst.reason}"
    )
    if off:
        return Choice(None, f"{found}; it stays, as {off}", worst)
    if working < 2 and not worst.is_standing:
        return Choice(None, f"{found}; it stays, as it is the last worker", worst)
    if lately.last is not None and lately.times >= (_MOST_STANDING if worst.is_standing else 1):
        return Choice(None, f"{found}; it stays for now, as one was replaced at {lately.last:%H:%M:%S}", worst)
    return Choice(worst, found)


def standstill(member: Member, beat: float, stale: float) -> str:
    """Say why a member is taken to stand still, "" when it is not.

    :param beat: seconds between heartbeats.
    :param stale: seconds after which a silent worker counts as dead.
    """
    if member.stopped and member.silent > STOPPED_BEATS * beat:
        return f"its process is stopped, and it has been silent for {member.silent:.0f} s"
    if member.silent > stale:
        return f"its process lives, and it has been silent for {member.silent:.0f} s"
    return ""


def is_deadlocked(member: Member, stale: float) -> bool:
    """Tell whether a worker that is to be replaced answers nothing, as its event loop does not turn.

    :param stale: seconds for which a worker that answers at all does not leave its event loop alone.
    """
    return member.loop_wait > stale


class Step(StrEnum):
    """What comes next in a replacement."""

    SPAWN = "spawn"
    WAIT = "wait"
    CORDON = "cordon"
    DRAIN = "drain"
    KILL = "kill"
    REPLACED = "replaced"
    DIED = "died"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Patience:
    """For how many seconds each step is waited for."""

    start: float
    hear: float
    leave: float


class Course(NamedTuple):
    """How far a replacement is: seconds since it was asked for, and since the old worker was told to leave."""

    asked: float
    successor: str | None
    ready: bool
    drained: float | None


def next_step(
    course: Course, old: Member | None, successor: Member | None, patience: Patience, frozen: bool, starts: bool
) -> Step:
    """Decide what comes next; the old worker takes jobs until the new one does, unless it stands still.

    :param old: None when it is gone.
    :param successor: None when it was not started yet, or is gone.
    :param frozen: whether the old one stands still.
    :param starts: whether the fleet starts the successor; else its home starts one when the old one has ended.
    """
    if old is None:
        return Step.REPLACED if course.ready or not starts else Step.DIED
    if starts and course.successor is None:
        return Step.SPAWN if course.asked < patience.start or frozen else Step.FAILED
    if frozen and starts:
        return Step.KILL
    if not course.ready:
        if not starts or (successor is not None and successor.takes):
            return Step.CORDON
        late = course.asked > patience.start or (successor is None and course.asked > patience.hear)
        return Step.FAILED if late else Step.WAIT
    if course.drained is None:
        if old.stage in (Stage.CORDONED, Stage.LEAVING):
            return Step.DRAIN
        heeds = course.asked <= patience.start + patience.leave
        return Step.WAIT if heeds else Step.KILL if starts else Step.FAILED
    if course.drained <= patience.leave:
        return Step.WAIT
    return Step.KILL if starts else Step.FAILED


def sentence(row: Mapping[str, Any]) -> str:
    """Tell a row of ``replacements`` as a sentence."""
    asked = row["asked_at"]
    if not row["asked_by"]:
        return f"at {asked:%H:%M:%S} {row['name']} died: {row['reason']}"
    told = [f"at {asked:%H:%M:%S} {row['asked_by']} asked for {row['name']} to be replaced: {row['reason']}"]
    if row["successor"]:
        ready = f" and took jobs {_seconds(row['ready_at'] - asked)} s later" if row["ready_at"] else ""
        told.append(f"{row['successor']} was started in its place{ready}")
    if row["drained_at"]:
        told.append(f"it was told to leave after {_seconds(row['drained_at'] - asked)} s")
    told.append(
        _END[row["outcome"]].format(_seconds(row["ended_at"] - asked)) if row["ended_at"] else "it is under way"
    )
    return "; ".join(told)


_END = {
    "replaced": "it was gone after {} s",
    "died": "it died by itself after {} s",
    "refused": "that was refused",
    "failed": "given up after {} s, as no successor took jobs, or it did not leave",
}


def _seconds(span: timedelta) -> str:
    return f"{span.total_seconds():.1f}"
