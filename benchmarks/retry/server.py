"""A dependency while it is called: its tokens, its backlog, and what becomes of a call."""

from __future__ import annotations

from typing import NamedTuple

from benchmarks.retry.world import Bucket, Capacity, Dependency, Luck, Trouble

#: A backlog grows no longer than so many timeouts.
_DEEPEST = 3.0
#: Seconds until a call to a host that is down fails at once, and until it fails by a timeout; the share of the latter.
_REFUSED_SECONDS, _TIMEOUT_SECONDS, _TIMEOUTS = 0.1, 5.0, 0.3


class Reply(NamedTuple):
    """What becomes of a call.

    :param seconds: until a failure shows, or how much longer the call takes if it succeeds.
    :param after: what ``Retry-After`` says, in seconds.
    """

    trouble: Trouble | None = None
    seconds: float = 0.0
    after: float | None = None


FINE = Reply()


class Server:
    """Answer calls to a dependency, in the order of their times."""

    def __init__(self, dependency: Dependency) -> None:
        self.dependency = dependency
        self.rejections = 0
        self._tokens = dependency.bucket.burst if dependency.bucket else 0.0
        self._backlog = 0.0
        self._at = 0.0

    def call(self, now: float, luck: Luck) -> Reply:
        """Answer one call, which counts for those that follow."""
        before, self._at = self._at, now
        span = self.dependency.outages.at(now)
        if span is not None and luck.outage < span.strength:
            return Reply(Trouble.DOWN, _TIMEOUT_SECONDS if luck.text < _TIMEOUTS else _REFUSED_SECONDS)
        if self.dependency.bucket is not None and not self._take(self.dependency.bucket, now - before):
            return self._limit(self.dependency.bucket, luck)
        if self.dependency.capacity is not None:
            return self._serve(self.dependency.capacity, before, now)
        return FINE

    def _take(self, bucket: Bucket, passed: float) -> bool:
        self._tokens = min(bucket.burst, self._tokens + passed * bucket.rate)
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    def _limit(self, bucket: Bucket, luck: Luck) -> Reply:
        low, high = bucket.after
        after = float(round(low + luck.outage * (high - low))) if luck.text < bucket.header else None
        return Reply(Trouble.LIMITED, _REFUSED_SECONDS, after)

    def _serve(self, capacity: Capacity, before: float, now: float) -> Reply:
        """Queue a call; what is not served in time fails late and has cost work all the same."""
        done = capacity.rate * (now - before - capacity.brownouts.weight(before, now))
        self._backlog = max(0.0, self._backlog - done)
        span = capacity.brownouts.at(now)
        rate = capacity.rate * (1.0 - span.strength if span else 1.0)
        wait = self._backlog / max(rate, 1e-9)
        if wait <= capacity.timeout:
            self._backlog += 1.0
            return Reply(None, wait)
        self.rejections += 1
        self._backlog = min(self._backlog + capacity.waste, _DEEPEST * capacity.timeout * capacity.rate)
        return Reply(Trouble.OVERLOADED, capacity.timeout)
