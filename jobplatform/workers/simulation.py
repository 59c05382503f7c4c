"""Recorded arrivals and durations, run once more in simulated time under some number of workers, or a policy of it.

Jobs are handed out as the platform does it: the more urgent first, those of one priority in the order in which they
came. A worker that is asked for is paid from then on and takes jobs once it has started; only one that runs nothing is
let go. Workers of several slots are taken to be filled one after the other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from math import inf
from typing import NamedTuple

from jobplatform.learning.load import Sample, chance_of_end


class Arrival(NamedTuple):
    """A job that came: when, in seconds since the epoch, how long it runs, and how urgent it is (5 is the most).

    :param foretold: for how many seconds it was foretold to run at its median, None if it was not.
    :param most: and at its 9th decile, None if that is not known.
    """

    at: float
    seconds: float
    priority: int = 1
    foretold: float | None = None
    most: float | None = None


class Moment(NamedTuple):
    """What a policy sees when it is asked.

    :param sample: of the time since it was asked before.
    :param up: workers that take jobs.
    :param had: those, and those that were asked for and start.
    """

    sample: Sample
    up: int
    had: int


#: How many workers there should be.
Policy = Callable[[Moment], int]


def fixed(workers: int) -> Policy:
    """Always want so many."""
    return lambda moment: workers


@dataclass(frozen=True, slots=True)
class Site:
    """Where it is run.

    :param slots: jobs that a worker runs at once.
    :param start_seconds: from when a worker is asked for until it takes jobs.
    :param interval: seconds from one decision to the next.
    :param first: workers that are up when it begins.
    :param coming: tells at a time how many jobs are known to come until a worker that is asked for then is up.
    """

    slots: int = 1
    start_seconds: float = 180.0
    interval: float = 60.0
    first: int = 1
    coming: Callable[[float], float | None] = lambda at: None


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of it, within the time that counts.

    :param waits: seconds that each job waited, in the order in which they came; those that had not begun by the end
        were waited for with the workers of then.
    :param worker_hours: that were paid for, from when a worker was asked for; ``up_hours`` of those that took jobs.
    :param samples: all, also those before the time that counts.
    :param workers: how many were paid for after each sample.
    """

    waits: Sequence[float]
    worker_hours: float
    up_hours: float
    samples: Sequence[Sample]
    workers: Sequence[int]

    def misses(self, slo: float) -> int:
        """Count the jobs that waited for longer."""
        return sum(wait > slo for wait in self.waits)

    def missed(self, slo: float) -> float:
        """Give the share of the jobs that waited for longer."""
        return self.misses(slo) / max(1, len(self.waits))


def simulate(arrivals: Sequence[Arrival], policy: Policy, site: Site, since: float, until: float) -> Ran:
    """Run jobs under a policy.

    :param arrivals: in the order of their times; the run begins with the first.
    :param since: from when on, and ``until`` when, waits and worker-hours count.
    """
    if not arrivals:
        return Ran((), 0.0, 0.0, (), ())
    yard = _Yard(arrivals, site)
    begin = arrivals[0].at
    samples, workers = [], []
    paid = up = 0.0
    for number in range(1, max(1, int((until - begin) // site.interval)) + 1):
        at = begin + number * site.interval
        share = max(0.0, min(at, until) - max(at - site.interval, since))
        held, before = yard.had, yard.up
        samples.append(yard.advance(at))
        paid += held * share
        up += (before + yard.up) / 2.0 * share
        yard.resize(policy(Moment(samples[-1], yard.up, yard.had)), at)
        workers.append(yard.had)
    yard.drain()
    return Ran(tuple(yard.waited(since, until)), paid / 3600.0, up / 3600.0, samples, workers)


class _Yard:
    """Jobs that wait and run, and the workers that there are."""

    def __init__(self, arrivals: Sequence[Arrival], site: Site) -> None:
        self.arrivals = arrivals
        self.site = site
        self.up = site.first
        self._starting: deque[float] = deque()
        self._next = 0
        self._running: list[tuple[float, int]] = []
        self._waiting: list[tuple[int, int]] = []
        self._begun: list[float] = [inf] * len(arrivals)
        self._now = arrivals[0].at
        self._started = self._finished = 0

    @property
    def had(self) -> int:
        """Workers that are paid for."""
        return self.up + len(self._starting)

    def advance(self, until: float) -> Sample:
        """Let time go by, and tell what happened."""
        first, started, finished, before = self._next, self._started, self._finished, self._now
        while (at := self._upcoming()) <= until:
            self._step(at)
        self._now = until
        oldest = min((self.arrivals[number].at for _, number in self._waiting), default=until)
        return Sample(
            until, until - before, len(self._waiting), self._next - first, self._started - started,
            self._finished - finished, len(self._running), until - oldest, self.site.coming(until),
            self._leaving(self.site.start_seconds + self.site.interval),
        )  # fmt: skip

    def drain(self) -> None:
        """Let time go by until all jobs have begun that came, with the workers that there are."""
        while self._waiting and (at := min(self._running[0][0] if self._running else inf, self._next_ready())) < inf:
            self._step(at)

    def resize(self, wanted: int, now: float) -> None:
        """Ask for workers, or let some go: those that start first, the last asked for, then such as run nothing."""
        surplus = self.had - wanted
        self._starting.extend([now + self.site.start_seconds] * -surplus)
        while surplus > 0 and self._starting:
            self._starting.pop()
            surplus -= 1
        idle = (self.up * self.site.slots - len(self._running)) // self.site.slots
        self.up -= max(0, min(surplus, idle))

    def waited(self, since: float, until: float) -> Iterator[float]:
        """Give the waits of the jobs that came in some time."""
        for arrival, begun in zip(self.arrivals, self._begun, strict=True):
            if since <= arrival.at < until:
                yield (begun if begun < inf else until) - arrival.at

    def _leaving(self, ahead: float) -> float | None:
        """Give how many of the running jobs are foretold to end within some seconds."""
        told = [(self._now - self._begun[number], self.arrivals[number]) for _, number in self._running]
        chances = [
            chance_of_end(ran, ahead, job.foretold, job.most or job.foretold)
            for ran, job in told
            if job.foretold is not None
        ]
        return sum(chances) if chances or not told else None

    def _upcoming(self) -> float:
        came = self.arrivals[self._next].at if self._next < len(self.arrivals) else inf
        ended = self._running[0][0] if self._running else inf
        return min(came, ended, self._next_ready())

    def _next_ready(self) -> float:
        return self._starting[0] if self._starting else inf

    def _step(self, at: float) -> None:
        """Do what happens at a moment, and let jobs begin that can."""
        if self._running and self._running[0][0] <= at:
            heappop(self._running)
            self._finished += 1
        elif self._starting and self._starting[0] <= at:
            self._starting.popleft()
            self.up += 1
        else:
            heappush(self._waiting, (-self.arrivals[self._next].priority, self._next))
            self._next += 1
        while self._waiting and len(self._running) < self.up * self.site.slots:
            number = heappop(self._waiting)[1]
            self._begun[number] = at
            heappush(self._running, (at + self.arrivals[number].seconds, number))
            self._started += 1
