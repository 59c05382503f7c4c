"""What a queue did until now, in steps of equal length."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from jobplatform.learning.load import Sample
from jobplatform.learning.scores import Floats

Steps = NDArray[np.int64]

#: A time without samples that is longer is left out.
_LONGEST_GAP = 86_400.0
_FIRST = 256
_ARRIVED, _FINISHED, _RUNNING, _DEPTH, _OLDEST, _COMING, _LEAVING = range(7)


class Trail:
    """The series of one queue, to which samples are added as they come.

    :param step: seconds from one step to the next.
    """

    def __init__(self, step: float) -> None:
        self.step = step
        self._length = 0
        self._last = 0.0
        self._cells = np.zeros((_FIRST, 7))
        # What all steps before each came to: arrived, finished, running.
        self._sums = np.zeros((_FIRST + 1, 3))
        self._times = np.zeros(_FIRST)

    @classmethod
    def of(cls, samples: Iterable[Sample], step: float) -> Trail:
        """Lay samples, the oldest first, into steps."""
        made = cls(step)
        for sample in samples:
            made.append(sample)
        return made

    @classmethod
    def laid(cls, times: Floats, series: Sequence[Floats], step: float) -> Trail:
        """Take series that are in steps already, of a queue in which nothing waits.

        :param series: what arrived, finished, runs, is coming and is leaving, as ``Sample`` has them.
        """
        made = cls(step)
        nothing = np.zeros(len(times))
        made._cells = np.column_stack([*series[:3], nothing, nothing, *series[3:]]).astype(np.float64)
        made._sums = np.concatenate([np.zeros((1, 3)), np.cumsum(made._cells[:, :3], axis=0)])
        made._times = np.array(times, dtype=np.float64)
        made._length, made._last = len(times), float(times[-1])
        return made

    def __len__(self) -> int:
        return self._length

    @property
    def times(self) -> Floats:
        """When each step ends, in seconds since the epoch."""
        return self._times[: self._length]

    @property
    def arrived(self) -> Floats:
        """Jobs that came in each step."""
        return self._cells[: self._length, _ARRIVED]

    @property
    def finished(self) -> Floats:
        """Jobs that ended in each step."""
        return self._cells[: self._length, _FINISHED]

    @property
    def depth(self) -> Floats:
        """Jobs that wait at the end of each step."""
        return self._cells[: self._length, _DEPTH]

    @property
    def oldest(self) -> Floats:
        """For how many seconds the first of them has waited."""
        return self._cells[: self._length, _OLDEST]

    @property
    def coming(self) -> Floats:
        """Jobs that are known to come; NaN where nobody knows."""
        return self._cells[: self._length, _COMING]

    @property
    def leaving(self) -> Floats:
        """Running jobs that are foretold to have ended before long; NaN where nobody knows."""
        return self._cells[: self._length, _LEAVING]

    @property
    def present(self) -> Floats:
        """Jobs that run or wait at the end of each step."""
        return self._cells[: self._length, _RUNNING] + self.depth

    def append(self, sample: Sample) -> None:
        """Add a sample; one that is too early for a step of its own replaces the last, missing ones are filled in."""
        rate = self.step / max(sample.seconds, 0.01 * self.step)
        known = (math.nan if each is None else each for each in (sample.coming, sample.leaving))
        cell = (sample.arrived * rate, sample.finished * rate, sample.running, sample.depth, sample.oldest, *known)
        if not self._length:
            self._put(sample.at, cell)
            return
        gap = sample.at - self._last
        ahead = round(gap / self.step)
        if gap > _LONGEST_GAP:
            self._put(sample.at, cell)
        elif ahead <= 0:
            self._length -= 1
            self._put(self._last, cell)
        for _ in range(ahead if gap <= _LONGEST_GAP else 0):
            self._put(self._last + self.step, cell)

    def sums(self, rows: Steps, steps: int) -> Floats:
        """Sum up arrivals, ends and what ran over some steps until each of some rows.

        :returns: a column each, and how many steps there were.
        """
        begin = np.maximum(rows + 1 - steps, 0)
        found = self._sums[rows + 1] - self._sums[begin]
        return np.column_stack([found, rows + 1 - begin])

    def service(self, rows: Steps, seconds: float) -> Floats:
        """Tell how long jobs ran on average in the time before each row (Little's law), the step where none ended."""
        found = self.sums(rows, max(1, round(seconds / self.step)))
        return np.where(found[:, 1] > 0, found[:, 2] / np.maximum(found[:, 1], 1e-9), 1.0) * self.step

    def _put(self, at: float, cell: tuple[float, ...]) -> None:
        if self._length == len(self._cells):
            self._cells, self._sums, self._times = (
                np.concatenate([each, np.zeros_like(each)]) for each in (self._cells, self._sums, self._times)
            )
        here = self._length
        self._cells[here], self._times[here] = cell, at
        self._sums[here + 1] = self._sums[here] + self._cells[here, :3]
        self._length, self._last = here + 1, at
