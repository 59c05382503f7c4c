"""A breaker: what fails of one cause is held until one job of them, the canary, succeeds; then it is let go in steps.

States and the canary follow M. Nygard, "Release It!" (2nd ed., 2018, chapter 5.2); instead of one half-open request, a
ramp that grows while it succeeds and shrinks when it does not, so that what recovers is not felled by those who waited.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

#: The wait between two canaries: a share of how long it has been open already, between these many seconds.
_PROBE_SHARE, _PROBE_LEAST, _PROBE_MOST = 0.1, 3.0, 10.0
#: A canary that has not ended after so many seconds is not waited for.
_CANARY_SECONDS = 60.0
#: Jobs a second that a release begins with, that it may always have, and what it grows by each second.
_FIRST_RATE, _LEAST_PACE, _GROWTH = 2.0, 5.0, 1.5
#: Jobs are let go so many times as fast as they came while they were held: all are done within a sixth of that time,
#: what comes meanwhile included, and no more is asked of the other side than that takes. A release that has not ended
#: after so many seconds is twice as fast each so many.
_HASTE, _RELEASE_SECONDS, _HASTE_SECONDS = 7.2, 300.0, 30.0
#: Of a step, the share of failures that slows a release down, that which ends it, and how many failures that takes.
_SLOW_SHARE, _STOP_SHARE, _STOP_FAILURES = 0.1, 0.5, 3
#: So many jobs may be under way for each job a second, and in any case.
_UNDER_WAY, _LEAST_UNDER_WAY = 10.0, 20
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
    :param rate: jobs a second that are let go.
    :param pace: jobs a second at which all are let go in time.
    :param under_way: jobs that were let go and have not ended.
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
    rate: float = 0.0
    pace: float = 0.0
    under_way: int = 0
    succeeded: int = 0
    failed: int = 0
    job_types: frozenset[str] = frozenset()
    forced: BreakerState | None = None
    forced_by: str | None = None

    @property
    def holds(self) -> bool:
        """Whether a job that fails of the cause is held."""
        return self.state is not BreakerState.CLOSED

    def seen(self, at: float, succeeded: int, failed: int, others: int = 0) -> Breaker:
        """Count attempts that ended, of those that were let go.

        :param others: that failed as well, which says nothing of the cause.
        """
        under_way = max(0, self.under_way - succeeded - failed - others)
        told = replace(self, under_way=under_way, failed_at=at if failed else self.failed_at)
        if self.forced is not None or not self.holds:
            return told
        if self.state is BreakerState.RELEASING:
            return replace(told, succeeded=self.succeeded + succeeded, failed=self.failed + failed)
        if self.canary_at is None:
            return told
        if succeeded > failed:
            return told.recovered(at)
        return told._wait(at) if failed else told

    def recovered(self, at: float) -> Breaker:
        """Let go what is held, as others show that the cause is over."""
        begun = replace(self, state=BreakerState.RELEASING, canary_at=None, releasing_at=at, stepped_at=at, rate=0.0)
        return begun if self.forced is None else self

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
            return (replace(self, canary_at=None, probe_at=now, under_way=0) if lost else self), None
        if not held:
            return (self.close() if now - max(self.failed_at, self.opened_at) > _QUIET_SECONDS else self), None
        if now < self.probe_at:
            return self, None
        return replace(self, canary_at=now, under_way=1), Release(self.cause, 1, True, self.probes % 2 == 1)

    def _release(self, now: float, held: int) -> tuple[Breaker, Release | None]:
        if self.failed >= _STOP_FAILURES and self.failed > _STOP_SHARE * (self.succeeded + self.failed):
            return self._wait(now), None
        if not held:
            return (self if self.under_way and now - self.stepped_at < _QUIET_SECONDS else self.close()), None
        came = held / max(self.releasing_at - self.opened_at, 1.0)
        pace = self.pace or max(_LEAST_PACE, _HASTE * came)
        rate = self._next_rate(now, pace)
        jobs = min(held, int(rate * min(now - self.stepped_at, 5.0)) or int(self.rate == 0.0))
        jobs = min(jobs, max(_LEAST_UNDER_WAY, int(rate * _UNDER_WAY)) - self.under_way)
        if jobs <= 0:
            return self, None
        counted = replace(self, pace=pace, rate=rate, stepped_at=now, succeeded=0, failed=0)
        return replace(counted, under_way=self.under_way + jobs), Release(self.cause, jobs)

    def _next_rate(self, now: float, pace: float) -> float:
        if self.rate == 0.0:
            return _FIRST_RATE
        if self.failed > _SLOW_SHARE * (self.succeeded + self.failed):
            return max(1.0, self.rate / 2)
        haste = max(0.0, (now - self.releasing_at - _RELEASE_SECONDS) / _HASTE_SECONDS)
        seconds = min(max(0.0, now - self.stepped_at), 2.0)
        return float(min(self.rate * _GROWTH**seconds, pace * 2 ** min(haste, 16.0)))

    def _wait(self, now: float) -> Breaker:
        wait = min(_PROBE_MOST, max(_PROBE_LEAST, _PROBE_SHARE * (now - self.opened_at)))
        waiting = replace(self, state=BreakerState.OPEN, canary_at=None, probes=self.probes + 1, succeeded=0, failed=0)
        return replace(waiting, probe_at=max(now + wait, self.probe_at), rate=0.0, pace=0.0)

    def close(self) -> Breaker:
        """Hold nothing any more."""
        return replace(self, state=BreakerState.CLOSED, job_types=frozenset(), canary_at=None, under_way=0)

    def force(self, state: BreakerState | None, by: str | None) -> Breaker:
        """Let a person say what it is; None lets it decide by itself again."""
        wanted = {BreakerState.CLOSED: self.close(), None: self}.get(state, replace(self, state=BreakerState.OPEN))
        return replace(wanted, forced=state, forced_by=by)


def open_breaker(cause: str, at: float, reason: str) -> Breaker:
    """Open a breaker.

    :param at: seconds since the epoch.
    """
    return Breaker(cause, reason, at, at + _PROBE_LEAST, failed_at=at)
