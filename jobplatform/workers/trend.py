"""Trends of a few measurements, robust against single ones that are far off; pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

#: Of more points than these, so many are taken at equal distances: each is compared with each.
MOST = 40


class Trend(NamedTuple):
    """Where a series goes.

    :param slope: by how much it grows in a second.
    :param tau: from -1, each value is below the one before, to 1, each is above it.
    :param chance: how likely a series without any trend would rise so steadily.
    :param level: where it stands at its end, on the line.
    """

    slope: float
    tau: float
    chance: float
    level: float
    points: int
    seconds: float


def thinned(count: int, most: int = MOST) -> list[int]:
    """Choose places out of so many at equal distances, the last one among them."""
    if count <= most:
        return list(range(count))
    return [round((count - 1) * (step / (most - 1))) for step in range(most)]


def trend(times: Sequence[float], values: Sequence[float]) -> Trend | None:
    """Fit a line that single values cannot bend; None of fewer than three points.

    The slope is the median over all pairs (P. Sen, "Estimates of the Regression Coefficient Based on Kendall's Tau",
    J. Am. Stat. Assoc. 63, 1968); whether it is chance, by the normal approximation of the sum of signs (H. Mann,
    "Nonparametric Tests Against Trend", Econometrica 13, 1945).
    """
    places = thinned(len(times))
    points = [(times[place], values[place]) for place in places]
    pairs = [(b[0] - a[0], b[1] - a[1]) for place, a in enumerate(points) for b in points[place + 1 :] if b[0] > a[0]]
    if len(points) < 3 or not pairs:
        return None
    slope = statistics.median(rise / run for run, rise in pairs)
    score = sum((rise > 0) - (rise < 0) for _, rise in pairs)
    count = len(points)
    spread = math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    chance = 0.5 * math.erfc((score - 1) / spread / math.sqrt(2)) if score > 0 else 1.0
    end = points[-1][0]
    level = statistics.median(value + slope * (end - at) for at, value in points)
    return Trend(slope, score / len(pairs), chance, level, count, end - points[0][0])
