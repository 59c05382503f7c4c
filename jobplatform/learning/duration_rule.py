"""How long jobs take by the rule: what most of the last runs of a group took; pure, and without arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

#: A forecast is right when it is off by at most this share of what came.
WITHIN = 0.2
#: Runs of a group that the rule looks at: of more it foretells less.
RULED = 20
#: Of runs, so many spread around their middle by what the few of them cannot tell.
_UNKNOWN = 1.5


class Estimate(NamedTuple):
    """What is foretold of a run, in seconds.

    :param p10: a tenth of the runs take less; ``p90`` a tenth more.
    :param chance: that it takes ``p50``, give or take a fifth; None where nobody has learned that.
    :param decided_by: who foretold it and from how much, for people.
    """

    p10: float
    p50: float
    p90: float
    runs: int
    decided_by: str
    chance: float | None = None


def mode(seconds: Sequence[float]) -> float:
    """Give the value near which most of the runs lie; of equals that of the newest.

    :param seconds: of the runs, the newest first.
    """
    # Of as many runs those count for more of which the newest is newer; as the arrays of duration_candidates do.
    votes = [
        sum(1.0 + 0.01 * 0.5**age for age, came in enumerate(seconds) if abs(value - came) <= WITHIN * came)
        for value in seconds
    ]
    return seconds[votes.index(max(votes))]


def estimate(seconds: Sequence[float]) -> Estimate:
    """Foretell by the rule.

    The ends of the interval are quantiles of the runs, drawn further apart where there are few.

    :param seconds: of the last runs, the newest first; at least one.
    """
    seconds = seconds[:RULED]
    count = len(seconds)
    middle, ordered = mode(seconds), sorted(seconds)
    spread = math.exp(_UNKNOWN / (1 + count))
    low, high = ordered[int(0.1 * count)] / spread, ordered[min(count - 1, math.ceil(0.9 * count))] * spread
    words = f"rule, {count} run{'s' * (count != 1)}"
    return Estimate(min(low, middle), middle, max(high, middle), count, words)
