"""What was known of earlier runs when a job was submitted: only those that had ended by then."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from jobplatform.learning.scores import Floats

Ints = NDArray[np.int64]
#: Seconds of runs by asked job, level and age: the newest first, NaN where there was none.
Seconds = NDArray[np.float32]

#: Runs of a group that are looked at; and of those that were submitted last.
KEPT = 40
LATEST = 20
#: No run counts as shorter: what is below is noise of clocks.
SHORTEST = 1e-3


@dataclass(frozen=True, slots=True)
class Runs:
    """Runs that ended.

    :param submitted: when, in seconds; and when each ended.
    :param seconds: how long each took.
    :param groups: of each run a number for each level, from special to general; the last level may hold all.
    :param traits: what was known of each when it was submitted, NaN where it was not; the seconds that it may take
        come first.
    """

    submitted: Floats
    ended: Floats
    seconds: Floats
    groups: Ints
    traits: Floats

    def __len__(self) -> int:
        return len(self.seconds)

    def __getitem__(self, part: slice | Ints | NDArray[np.bool_]) -> Runs:
        return Runs(self.submitted[part], self.ended[part], self.seconds[part], self.groups[part], self.traits[part])

    def in_order(self) -> Runs:
        """Give the runs in the order in which they were submitted."""
        return self[np.argsort(self.submitted, kind="stable")]

    def blocks(self, size: int = 20_000) -> Iterator[Runs]:
        """Give the runs in parts, which bounds the memory that is needed at once."""
        for start in range(0, len(self), size):
            yield self[start : start + size]


class Latest(NamedTuple):
    """The runs of a group that were submitted last, whether they have ended or not, by job, level and age.

    :param ended: the seconds of those that have ended, the newest first.
    :param elapsed: for how long those that still run have run, 0 for one that waits; NaN where there is none.
    """

    ended: Seconds
    elapsed: Seconds


@dataclass(frozen=True, slots=True)
class Past:
    """What was known of earlier runs for each of some jobs.

    :param seconds: of the runs of its group at each level that ended last.
    :param traits: what was known of the job itself; first the seconds that it may take.
    :param latest: of the same groups, what was submitted last; None where that is not known.
    """

    seconds: Seconds
    traits: Floats
    latest: Latest | None = None

    def __len__(self) -> int:
        return len(self.seconds)

    def counts(self) -> Ints:
        """Count, for each job and level, the runs that are looked at."""
        return np.asarray((~np.isnan(self.seconds)).sum(axis=2), dtype=np.int64)


class Ledger:
    """Find what was known of a group at any time.

    :param runs: all that may be known at some time.
    :param kept: so many of a group at most.
    :param latest: whether to look at what was submitted last as well.
    """

    def __init__(self, runs: Runs, kept: int = KEPT, latest: bool = False) -> None:
        self.kept = kept
        self._seconds = np.maximum(runs.seconds, SHORTEST).astype(np.float32)
        self._ended = runs.ended
        self._started = runs.ended - runs.seconds
        self._by_end = _Order(runs.ended, runs.groups)
        self._by_submission = _Order(runs.submitted, runs.groups) if latest else None

    def before(self, at: Floats, groups: Ints) -> Seconds:
        """Give the seconds of the latest runs that had ended before each time, by level, the newest first."""
        found = self._by_end.before(at, groups, self.kept)
        return np.where(found >= 0, self._seconds[found], np.float32(np.nan))

    def latest(self, at: Floats, groups: Ints) -> Latest | None:
        """Give the runs that had been submitted before each time, by level, the newest first; None if not asked for."""
        if self._by_submission is None:
            return None
        found = self._by_submission.before(at, groups, LATEST)
        there, now = found >= 0, at[:, None, None]
        over = there & (self._ended[found] < now)
        going = there & ~over
        ended = np.where(over, self._seconds[found], np.float32(np.nan))
        elapsed = np.where(going, np.maximum(now - self._started[found], 0.0), np.nan)
        return Latest(ended, elapsed.astype(np.float32))

    def past(self, runs: Runs) -> Past:
        """Give what was known of earlier runs when each of some runs was submitted."""
        at, groups = runs.submitted, runs.groups
        return Past(self.before(at, groups), runs.traits, self.latest(at, groups))


class _Order:
    """The runs of each group in the order of a time."""

    def __init__(self, times: Floats, groups: Ints) -> None:
        self._times = np.sort(times)
        self._span = len(times) + 1
        ranks = np.searchsorted(self._times, times, side="left")
        places = groups * self._span + ranks[:, None]
        self._orders = np.argsort(places, axis=0, kind="stable")
        self._places = np.take_along_axis(places, self._orders, axis=0)

    def before(self, at: Floats, groups: Ints, kept: int) -> Ints:
        """Give the numbers of the latest runs before each time, by level, the newest first; -1 where there is none."""
        known = np.searchsorted(self._times, at, side="left")
        found = np.full((len(at), groups.shape[1], kept), -1, dtype=np.int64)
        for level in range(groups.shape[1]):
            places, start = self._places[:, level], groups[:, level] * self._span
            first = np.searchsorted(places, start, side="left")
            last = np.searchsorted(places, start + known, side="left")
            chosen = last[:, None] - 1 - np.arange(kept)
            found[:, level] = np.where(chosen >= first[:, None], self._orders[np.maximum(chosen, 0), level], -1)
        return found


def numbered(*columns: Sequence[object] | NDArray[np.generic]) -> Ints:
    """Give a number for each distinct combination of columns."""
    table = [np.unique(np.asarray(column), return_inverse=True)[1].astype(np.int64) for column in columns]
    whole = table[0]
    for column in table[1:]:
        whole = np.unique(whole * (int(column.max(initial=0)) + 1) + column, return_inverse=True)[1].astype(np.int64)
    return whole
