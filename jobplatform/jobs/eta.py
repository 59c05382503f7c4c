"""When a job begins and ends, from what waits before it, what runs, and how many slots there are; pure."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from typing import NamedTuple

_MINUTE, _HOUR, _DAY = 60.0, 3_600.0, 86_400.0


class Takes(NamedTuple):
    """How many seconds a job is foretold to take: a tenth takes less than ``p10``, a tenth more than ``p90``."""

    p10: float
    p50: float
    p90: float

    @property
    def mean(self) -> float:
        """The mean, by Swanson's rule (A. Hurst, G. Brown, R. Swanson, AAPG Bulletin 84, 2000)."""
        return 0.3 * self.p10 + 0.4 * self.p50 + 0.3 * self.p90

    def left(self, passed: float) -> float:
        """Give the seconds that it still takes after some; one that takes longer than most may take as long again."""
        if passed < self.p50:
            return max(self.p50, self.mean) - passed
        return max(self.p90 - passed, 0.0) / 2.0 if passed < self.p90 else passed


@dataclass(frozen=True, slots=True)
class Ahead:
    """What waits before a job.

    :param jobs: how many there are, of which ``foretold`` were foretold to take so many ``seconds`` together.
    """

    jobs: int = 0
    foretold: int = 0
    seconds: float = 0.0

    @property
    def work(self) -> float | None:
        """The seconds of all, those that nobody foretold taken to be like the others; None when nobody can tell."""
        if not self.jobs:
            return 0.0
        return self.seconds * self.jobs / self.foretold if self.foretold else None


@dataclass(frozen=True, slots=True)
class Slots:
    """What runs jobs of a queue.

    :param count: how many jobs may run at once, over all workers.
    :param left: the seconds that each of those that run still takes; None where nobody foretold it.
    """

    count: int
    left: Sequence[float | None] = field(default=())


class Eta(NamedTuple):
    """When a job begins and ends, in seconds from now; None when nobody can tell.

    :param behind: how many jobs begin before it.
    :param reason: why nobody can tell, or what it waits for.
    """

    starts_in: float | None
    done_in: float | None
    behind: int = 0
    reason: str = ""

    def words(self) -> str:
        """Say it in a sentence."""
        if self.starts_in is None and self.done_in is None:
            return self.reason or "nobody can tell"
        parts = []
        if self.starts_in:
            parts.append(f"starts in about {spoken(self.starts_in)}")
        elif self.starts_in is not None:
            parts.append("starts now")
        parts.append("how long it takes was not foretold" if self.done_in is None else _done(self.done_in))
        text = ", ".join(parts)
        behind = f"behind {self.behind:,} job{'s' * (self.behind != 1)}" if self.behind else ""
        return "; ".join(filter(None, [text, behind, self.reason]))


def _done(seconds: float) -> str:
    return f"done in about {spoken(seconds)}" if seconds else "done any moment"


def spoken(seconds: float) -> str:
    """Write a length of time as people say it."""
    if seconds < 1.5 * _MINUTE:
        return f"{max(1, round(seconds))} s"
    for unit, name, most in ((_MINUTE, "min", 1.5 * _HOUR), (_HOUR, "h", 2.0 * _DAY)):
        if seconds < most:
            return f"{round(seconds / unit)} {name}"
    return f"{round(seconds / _DAY)} days"


def wait(ahead: Ahead, slots: Slots) -> float | None:
    """Give the seconds until a slot is free for what comes after some work; None when nobody can tell.

    The work is taken to flow into the slots as they become free, which is exact when it comes in small parts.
    """
    work, known = ahead.work, [seconds for seconds in slots.left if seconds is not None]
    if slots.count <= len(slots.left) and not known:
        return None
    if work is None or not slots.count:
        return None
    mean = sum(known) / len(known) if known else 0.0
    busy = sorted([mean if seconds is None else seconds for seconds in slots.left])
    free = [0.0] * max(0, slots.count - len(busy)) + busy[: slots.count]
    # What runs beyond the slots that are counted, as while a worker leaves, takes the first that become free.
    for seconds in busy[slots.count :]:
        heapq.heapreplace(free, free[0] + seconds)
    return _level(sorted(free), work)


def _level(free: Sequence[float], work: float) -> float:
    """Give the time by which slots that become free one after the other have done some work."""
    for count, (at, following) in enumerate(zip(free, [*free[1:], float("inf")], strict=True), start=1):
        room = count * (following - at)
        if work <= room:
            return at + work / count
        work -= room
    raise ValueError("free: there is no slot; give one at least")


def waiting(takes: Takes | None, ahead: Ahead, slots: Slots, not_before: float = 0.0) -> Eta:
    """Tell when a job that waits begins and ends.

    :param not_before: seconds from now before which it does not begin, whatever is free.
    """
    if not slots.count:
        return Eta(None, None, ahead.jobs, f"no worker takes jobs of its queue; {ahead.jobs:,} wait before it")
    found = wait(ahead, slots)
    if found is None:
        return Eta(None, None, ahead.jobs, f"how long jobs take was not foretold; {ahead.jobs:,} wait before it")
    starts = max(found, not_before)
    return Eta(starts, None if takes is None else starts + takes.p50, ahead.jobs)


def running(takes: Takes | None, passed: float) -> Eta:
    """Tell when a job that runs ends.

    :param passed: seconds since it began.
    """
    if takes is None:
        return Eta(None, None, 0, f"it has run for {spoken(passed)}; how long it takes was not foretold")
    reason = f"it has run for {spoken(passed)}, longer than 9 of 10 do" if passed > takes.p90 else ""
    return Eta(None, takes.left(passed), 0, reason)


class Node(NamedTuple):
    """A job of a workflow: those that it waits for, and when it ends once these have, in seconds.

    :param ends_in: for one that waits for none.
    :param takes: for one that does; 0 for one that has ended.
    """

    after: tuple[str, ...]
    ends_in: float | None
    takes: float | None


def workflow(nodes: Mapping[str, Node]) -> float | None:
    """Give the seconds until the last job of a workflow ends, along its longest path; None when nobody can tell."""
    ends: dict[str, float] = {}
    for job_id in TopologicalSorter({job_id: node.after for job_id, node in nodes.items()}).static_order():
        node = nodes.get(job_id)
        if node is None:
            ends[job_id] = 0.0
            continue
        before = max((ends[each] for each in node.after), default=0.0)
        own = node.ends_in if node.ends_in is not None else None if node.takes is None else before + node.takes
        if own is None:
            return None
        ends[job_id] = max(own, before)
    return max(ends.values(), default=0.0)
