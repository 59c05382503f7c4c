"""Foretold intervals that follow what came: widened when too many outcomes lie outside, narrowed when too few do."""

from __future__ import annotations

import math
from dataclasses import dataclass

#: The shares of outcomes that shall lie below an interval, and below its end.
LOW, HIGH = 0.1, 0.9
#: How much a single outcome moves an end, in logarithms of seconds.
_STEP = 0.02
#: So many outcomes at once move an end at most: what they missed cannot have followed from each other.
_MOST = 20
#: No end is moved further than this.
_FURTHEST = 2.0


@dataclass(frozen=True, slots=True)
class Widening:
    """By how much the ends of foretold intervals are moved, in logarithms of seconds.

    Each outcome moves each end a little, so that in the long run the wanted shares lie beyond it whatever the outcomes
    are (I. Gibbs and E. Candes, "Adaptive Conformal Inference Under Distribution Shift", NeurIPS 2021; with the end
    itself moved, A. Angelopoulos et al., "Conformal PID Control for Time Series Prediction", NeurIPS 2023).
    """

    low: float = 0.0
    high: float = 0.0

    def widen(self, low: float, middle: float, high: float) -> tuple[float, float]:
        """Give the ends to foretell, of those that were learned; what is foretold in between stays in between."""
        return min(middle, low * math.exp(self.low)), max(middle, high * math.exp(self.high))

    def after(self, runs: int, below: int, above: int) -> Widening:
        """Give what follows from some outcomes that were foretold alike.

        :param below: how many of the runs took less than the interval, and ``above`` more.
        """
        weight = _STEP * min(runs, _MOST) / max(runs, 1)
        low, high = self.low - weight * (below - LOW * runs), self.high + weight * (above - (1.0 - HIGH) * runs)
        return Widening(_bounded(low), _bounded(high))


def _bounded(value: float) -> float:
    return max(-_FURTHEST, min(_FURTHEST, value))
