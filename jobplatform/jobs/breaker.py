"""A breaker: what fails of one cause is held until one job of them, the canary, succeeds; then it is let go in steps.

States and the canary follow M. Nygard, "Release It!" (2nd ed., 2018, chapter 5.2); instead of one half-open request, a
window of jobs under way follows what the other side can do, so that those who waited do not fell it again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from enum import StrEnum

from jobplatform.jobs.window import Window

#: The wait between two canaries: a share of how long it has been open already, between these many seconds.
_PROBE_SHARE, _PROBE_LEAST, _PROBE_MOST = 0.1, 3.0, 10.0
#: A canary that has not ended after so many seconds is not waited for.
_CANARY_SECONDS = 60.0
#: A job that was let go and has not ended after so many seconds is not waited for either.
_LONG_SECONDS = 60.0
#: Jobs are let go at most so many times as fast as they came while they were held: all are done within a sixth of that
#: time, what comes meanwhile included; so many a second in any case. A release that has not ended after so many seconds
#: may be twice as fast each so many.
_HASTE, _LEAST_PACE, _RELEASE_SECONDS, _HASTE_SECONDS = 7.2, 5.0, 300.0, 30.0
#: The share of failures that nobody listened to, from which on waiting is not what is wrong; and with how many jobs
#: held job types may begin again, all of which then come at once.
_REFUSED_SHARE, _AT_ONCE = 0.2, 200
#: With nothing held, a breaker is forgotten after so many seconds without a failure.
_QUIET_SECONDS = 30.0


class BreakerState(StrEnum):
    """Whether what fails of a cause is held."""

    CLOSED = "closed"
    OPEN = "open"
    RELEASING = "releasing"


@dataclass(frozen=True, slots=True)
class Release:
    """Let so many jobs go on that are held for a cause.

    :param begun: those that failed of it before those that never began; in turn, as what failed may fail for reasons of
        its own, and what never began may be of a kind that always fails at first.
    """

    cause: str
    jobs: int
    canary: bool = False
    begun: bool = True


@dataclass(frozen=True, slots=True)
class Breaker:
    """What is known of one cause; times are seconds since the epoch.

    :param probes: canaries that failed since it opened.
    :param canary_at: since when a canary is under way.
    :param pace: jobs a second at which all are let go in time.
    :param turns: steps of the release.
    :param window: those that were let go and have not ended, and how many may be.
    :param relapsed: whether a release has ended before a second job had succeeded, with few held.
    :param heard, refused: failures since it opened, and those of them that nobody listened to.
    :param job_types: those whose jobs do nearly nothing but fail of it; none of them begins.
    :param forced: what a person wants it to be.
    """

    cause: str
    reason: str
    opened_at: float
    probe_at: float
    state: BreakerState = BreakerState.OPEN
    failed_at: float = 0.0
    probes: int = 0
    canary_at: float | None = None
    releasing_at: float = 0.0
    stepped_at: float = 0.0
    pace: float = 0.0
    turns: int = 0
    window: Window = field(default_factory=Window)
    job_types: frozenset[str] = frozenset()
    relapsed: bool = False
    heard: int = 0
    refused: int = 0
    forced: BreakerState | None = None
    forced_by: str | None = None

    @property
    def is_partial(self) -> bool:
        """Whether some attempts succeed by chance, however few are made, and those that fail cost little.

        So it looks when a few of several servers are away. One that has too much to do lets callers wait, and more
        attempts would make that worse.
        """
        return self.relapsed and self.refused >= _REFUSED_SHARE * self.heard

    @property
    def holds(self) -> bool:
        """Whether a job that fails of the cause is held."""
        return self.state is not BreakerState.CLOSED

    def seen(self, at: float, succeeded: int, failed: int, others: int = 0) -> Breaker:
        """Count attempts that ended, of those that were let go.

        :param others: that failed as well, which says nothing of the cause.
        """
        told = replace(self, failed_at=at if failed else self.failed_at)
        if self.forced is not None or not self.holds:
            return told
        if self.state is BreakerState.RELEASING:
            return replace(told, window=self.window.ended(succeeded, failed, others))
        if self.canary_at is None:
            return told
        if succeeded > failed:
            return told.recovered(at)
        return told._wait(at) if failed else told

    def hear(self, failures: int, refused: int) -> Breaker:
        """Count what failed of the cause.

        :param refused: those that nobody listened to.
        """
        return replace(self, heard=self.heard + failures, refused=self.refused + refused)

    def recovered(self, at: float) -> Breaker:
        """Let go what is held, as others show that the cause is over."""
        if self.forced is not None:
            return self
        begun = replace(self, state=BreakerState.RELEASING, canary_at=None, releasing_at=at, stepped_at=at)
        return replace(begun, pace=0.0, window=Window())

    def delayed(self, until: float) -> Breaker:
        """Send no canary before a time that the cause itself asks for."""
        return replace(self, probe_at=max(self.probe_at, until))

    def step(self, now: float, held: int) -> tuple[Breaker, Release | None]:
        """Decide what is let go now.

        :param held: jobs that are held for the cause.
        """
        if self.forced is not None or not self.holds:
            return self, None
        return self._probe(now, held) if self.state is BreakerState.OPEN else self._release(now, held)

    def _probe(self, now: float, held: int) -> tuple[Breaker, Release | None]:
        if self.canary_at is not None:
            lost = now - self.canary_at > _CANARY_SECONDS
            return (replace(self, canary_at=None, probe_at=now) if lost else self), None
        if not held:
            return (self.close() if now - max(self.failed_at, self.opened_at) > _QUIET_SECONDS else self), None
        if now < self.probe_at:
            return self, None
        return replace(self, canary_at=now), Release(self.cause, 1, True, self.probes % 2 == 1)

    def _release(self, now: float, held: int) -> tuple[Breaker, Release | None]:
        if self.window.is_failing:
            return self._relapse(now, held), None
        if not held:
            return (self if self.window.under_way and now - self.stepped_at < _QUIET_SECONDS else self.close()), None
        window = self.window.passed_over() if now - self.stepped_at > _LONG_SECONDS else self.window
        came = held / max(self.releasing_at - self.opened_at, 1.0)
        pace = self.pace or max(_LEAST_PACE, _HASTE * came)
        haste = max(0.0, (now - self.releasing_at - _RELEASE_SECONDS) / _HASTE_SECONDS)
        most = math.ceil(pace * 2 ** min(haste, 16.0) * min(now - self.stepped_at, 5.0))
        jobs = min(held, max(1, most), window.room)
        if not jobs:
            return self, None
        stepped = replace(self, pace=pace, stepped_at=now, window=window.let_go(jobs), turns=self.turns + 1)
        return stepped, Release(self.cause, jobs, begun=self.turns % 2 == 0)

    def _relapse(self, now: float, held: int) -> Breaker:
        by_chance = self.window.succeeded < 2.0 and held <= _AT_ONCE
        waiting = replace(self._wait(now), relapsed=self.relapsed or by_chance)
        return replace(waiting, job_types=frozenset()) if waiting.is_partial else waiting

    def _wait(self, now: float) -> Breaker:
        wait = min(_PROBE_MOST, max(_PROBE_LEAST, _PROBE_SHARE * (now - self.opened_at)))
        waiting = replace(self, state=BreakerState.OPEN, canary_at=None, probes=self.probes + 1)
        return replace(waiting, probe_at=max(now + wait, self.probe_at))

    def close(self) -> Breaker:
        """Hold nothing any more."""
        return replace(self, state=BreakerState.CLOSED, job_types=frozenset(), canary_at=None, window=Window())

    def force(self, state: BreakerState | None, by: str | None) -> Breaker:
        """Let a person say what it is; None lets it decide by itself again."""
        wanted = {BreakerState.CLOSED: self.close(), None: self}.get(state, replace(self, state=BreakerState.OPEN))
        return replace(wanted, forced=state, forced_by=by)


def open_breaker(cause: str, at: float, reason: str) -> Breaker:
    """Open a breaker.

    :param at: seconds since the epoch.
    """
    return Breaker(cause, reason, at, at + _PROBE_LEAST, failed_at=at)
