"""What was known of earlier runs when a job was submitted: only those that had ended by then."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jobplatform.learning.scores import Floats

Ints = NDArray[np.int64]
#: Seconds of runs by asked job, level and age: the newest first, NaN where there was none.
Seconds = NDArray[np.float32]

#: Runs of a group that are looked at.
KEPT = 40
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


@dataclass(frozen=True, slots=True)
class Past:
    """What was known of earlier runs for each of some jobs.

    :param seconds: of the latest runs of its group at each level.
    :param traits: what was known of the job itself; first the seconds that it may take.
    """

    seconds: Seconds
    traits: Floats

    def __len__(self) -> int:
        return len(self.seconds)

    def counts(self) -> Ints:
        """Count, for each job and level, the runs that are looked at."""
        return np.asarray((~np.isnan(self.seconds)).sum(axis=2), dtype=np.int64)


class Ledger:
    """Find the latest runs of a group before any time.

    :param runs: all that may be known at some time.
    :param kept: so many of a group at most.
    """

    def __init__(self, runs: Runs, kept: int = KEPT) -> None:
        self.kept = kept
        self._ends = np.sort(runs.ended)
        self._span = len(runs) + 1
        ranks = np.searchsorted(self._ends, runs.ended, side="left")
        self._levels = [
            _sorted(runs.groups[:, level] * self._span + ranks, runs.seconds) for level in range(runs.groups.shape[1])
        ]

    def before(self, at: Floats, groups: Ints) -> Seconds:
        """Give the seconds of the latest runs that had ended before each time, by level, the newest first."""
        known = np.searchsorted(self._ends, at, side="left")
        found = np.full((len(at), len(self._levels), self.kept), np.nan, dtype=np.float32)
        for level, (places, seconds) in enumerate(self._levels):
            first = np.searchsorted(places, groups[:, level] * self._span, side="left")
            last = np.searchsorted(places, groups[:, level] * self._span + known, side="left")
            chosen = last[:, None] - 1 - np.arange(self.kept)
            found[:, level] = np.where(chosen >= first[:, None], seconds[np.maximum(chosen, 0)], np.nan)
        return found

    def past(self, runs: Runs) -> Past:
        """Give what was known of earlier runs when each of some runs was submitted."""
        return Past(self.before(runs.submitted, runs.groups), runs.traits)


def _sorted(places: Ints, seconds: Floats) -> tuple[Ints, Floats]:
    order = np.argsort(places, kind="stable")
    return places[order], np.maximum(seconds[order], SHORTEST)


def numbered(*columns: Sequence[object] | NDArray[np.generic]) -> Ints:
    """Give a number for each distinct combination of columns."""
    table = [np.unique(np.asarray(column), return_inverse=True)[1].astype(np.int64) for column in columns]
    whole = table[0]
    for column in table[1:]:
        whole = np.unique(whole * (int(column.max(initial=0)) + 1) + column, return_inverse=True)[1].astype(np.int64)
    return whole
