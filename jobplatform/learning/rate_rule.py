"""The rule without learning: what came lately, times how long it runs, and a reserve."""

from __future__ import annotations

import numpy as np

from jobplatform.learning.scores import Floats
from jobplatform.learning.trail import Steps, Trail

#: Arrivals are counted over so many seconds; the busiest of these times counts.
WINDOWS = (300.0, 900.0, 3_600.0)
#: The reserve, as a factor.
RESERVE = 1.5
#: How long jobs run is told from so many seconds.
_SERVICE = 86_400.0


def rate_rule(trail: Trail, rows: Steps, reserve: float = RESERVE) -> Floats:
    """Give how many jobs at once are to be expected after each row."""
    sums = [trail.sums(rows, max(1, round(seconds / trail.step))) for seconds in WINDOWS]
    rates = np.stack([found[:, 0] / found[:, 3] for found in sums]).max(axis=0) / trail.step
    return np.asarray(rates * trail.service(rows, _SERVICE) * reserve)
