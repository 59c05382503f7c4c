"""Quantiles corrected by what came of those that were foretold before, and whether they are to be trusted."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np

from jobplatform.learning.demand import Demand, Told, at_level
from jobplatform.learning.demand_training import JUDGED, pinball, scores, shifts_of
from jobplatform.learning.scores import Floats
from jobplatform.learning.trail import Trail
from jobplatform.learning.view import View

#: What came in so many seconds corrects what is foretold.
_KEPT = 86_400.0
#: From so many outcomes on, they do rather than those of the training.
ENOUGH = 240
#: Steps after which it is corrected anew.
_EVERY = 10
#: Over so many seconds, and over all that is kept, the model must not lose more than the rule does, times so much.
_LATELY, _LATELY_BOUND = 7_200.0, 1.5


class Error(NamedTuple):
    """Pinball losses of a model and of the rate rule on the same outcomes."""

    model: float
    rule: float
    outcomes: int


class Correction:
    """Follow the forecasts of one queue.

    :param view: what is foretold of which time.
    """

    def __init__(self, view: View) -> None:
        self.view = view
        most = round(_KEPT / view.step)
        self._pending: deque[tuple[int, Told, float]] = deque()
        self._scores: deque[Floats] = deque(maxlen=most)
        self._losses: deque[tuple[float, float]] = deque(maxlen=most)
        self._shifts: Floats | None = None
        self._age = 0

    def note(self, row: int, told: Told, rule: float) -> None:
        """Remember what was foretold of a row, by the model and by the rule."""
        self._pending.append((row, told, rule))

    def settle(self, trail: Trail) -> None:
        """Look what came of the forecasts whose time is over."""
        while self._pending and self._pending[0][0] + self.view.reach < len(trail):
            row, told, rule = self._pending.popleft()
            later, kept = self.view.targets(trail, np.array([row]))
            self._scores.append(scores(told, later, kept)[:, 0])
            said = (at_level(told.later, JUDGED), np.array([rule]))
            self._losses.append((pinball(later, said[0], JUDGED), pinball(later, said[1], JUDGED)))
            self._age += 1

    def forget_pending(self) -> None:
        """Drop what is not over, as rows are counted anew."""
        self._pending.clear()

    def shifts(self, model: Demand) -> Floats:
        """Give what is to be added to each quantile, in scales: by what came lately, else as the training says."""
        if len(self._scores) < ENOUGH:
            return model.shifts
        if self._shifts is None or self._age >= _EVERY:
            self._shifts, self._age = shifts_of(np.stack(self._scores, axis=1)), 0
        return self._shifts

    def error(self, seconds: float = _KEPT) -> Error:
        """Tell what model and rule lost lately."""
        found = np.array(list(self._losses)[-round(seconds / self.view.step) :]).reshape(-1, 2)
        means = found.mean(axis=0) if len(found) else np.zeros(2)
        return Error(float(means[0]), float(means[1]), len(found))

    def complaint(self) -> str | None:
        """Say why the model is not to be trusted, None while it is."""
        for seconds, bound in ((_KEPT, 1.0), (_LATELY, _LATELY_BOUND)):
            found = self.error(seconds)
            if found.outcomes >= ENOUGH and found.model > bound * found.rule:
                return (
                    f"over the last {found.outcomes} forecasts the model lost {found.model:.2f} jobs a step, "
                    f"the rate rule {found.rule:.2f}"
                )
        return None


def corrected(told: Told, shifts: Floats) -> Told:
    """Add a correction to what is foretold."""
    moved = shifts[:, None, :] * told.scale[None, :, None]
    later, kept = (
        np.maximum(0.0, np.maximum.accumulate(said + each, axis=1))
        for said, each in zip((told.later, told.kept), moved, strict=True)
    )
    return Told(later, np.maximum(kept, later), told.scale)
