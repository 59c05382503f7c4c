"""How many retries a dependency is given, and how many jobs of a type may be given up before their retries are used up.

Finagle's retry budget: what is asked anyway pays for a share of retries, some are free each second, and both are good
for ten seconds (Twitter Finagle, ``RetryBudget``: 20 % and 10 a second).
"""

from __future__ import annotations

from collections import Counter, defaultdict

from jobplatform.jobs.traffic import Traffic

#: Retries for each attempt that succeeds, retries a second in any case, and for how many seconds both are good.
_SHARE, _EACH_SECOND, _SECONDS = 0.2, 10.0, 10
#: Slots ahead that are looked at for room.
_SLOTS = 360
#: Of the failures of a job type within an hour, the share that may be given up early, and how many in any case.
_GIVEN_UP_SHARE, _GIVEN_UP, _HOUR = 0.2, 10, 3600


class RetryBudget:
    """Put off retries of a cause, so that no more of them come at once than it is used to."""

    def __init__(self) -> None:
        self._succeeded = Traffic(60)
        self._types: dict[str, set[str]] = defaultdict(set)
        self._taken: Counter[tuple[str, int]] = Counter()

    def succeeded(self, job_type: str, at: float, count: int = 1) -> None:
        """Count attempts that succeeded."""
        self._succeeded.add(job_type, at, count)

    def put_off(self, cause: str, job_type: str, at: float, delay: float) -> float:
        """Take a retry out of the budget of the seconds in which it is due; returns its delay, longer if none is left.

        :param at: now, in seconds since the epoch.
        """
        self._types[cause].add(job_type)
        asked = sum(self._succeeded.count(name, at) for name in self._types[cause]) / 60
        room = _SECONDS * (_EACH_SECOND + _SHARE * asked)
        first = slot = int((at + delay) // _SECONDS)
        while self._taken[cause, slot] >= room and slot < first + _SLOTS:
            slot += 1
        self._taken[cause, slot] += 1
        if len(self._taken) > 20_000:
            now = int(at // _SECONDS)
            self._taken = Counter({key: count for key, count in self._taken.items() if key[1] >= now})
        late = slot * _SECONDS + _SECONDS * self._taken[cause, slot] / room - at
        return delay if slot == first else late


class FailureBudget:
    """Bound how many jobs of a type are given up although they may be tried again."""

    def __init__(self) -> None:
        self._failed = Traffic(_HOUR)
        self._given_up = Traffic(_HOUR)

    def failed(self, job_type: str, at: float) -> None:
        """Count a failed attempt.

        :param at: seconds since the epoch.
        """
        self._failed.add(job_type, at)

    def may_give_up(self, job_type: str, at: float) -> bool:
        """Take a job out of the budget, if one is left."""
        if self._given_up.count(job_type, at) >= _GIVEN_UP + _GIVEN_UP_SHARE * self._failed.count(job_type, at):
            return False
        self._given_up.add(job_type, at)
        return True
