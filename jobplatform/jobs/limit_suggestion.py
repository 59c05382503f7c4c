"""Time limits that suit how long jobs take; pure."""

from __future__ import annotations

import math
from typing import NamedTuple

#: Fewer runs say too little of the longest.
_FEWEST = 20
#: A limit is so many times what a tenth of the runs exceed, or what the longest took.
_TIMES_P90, _TIMES_LONGEST = 3.0, 1.5
#: The soft limit leaves this share of the time to clean up.
_SOFT = 0.9
_STEPS = (1, 1.5, 2, 3, 5, 7.5, 10)
_LEAST = 1.0


class Suggestion(NamedTuple):
    """Time limits of a job type, in seconds, and why."""

    timeout: float
    soft_timeout: float
    reason: str


def suggest(p90: float, longest: float, runs: int) -> Suggestion | None:
    """Suggest limits that hardly any run that ends well needs; None where too few runs are known.

    :param p90: seconds that a tenth of the runs exceed; ``longest`` is what the longest of all took.
    """
    if runs < _FEWEST:
        return None
    wanted = max(_TIMES_P90 * p90, _TIMES_LONGEST * longest, _LEAST)
    timeout = _round_up(wanted)
    reason = f"the longest of {runs:,} runs took {longest:.3g} s, one in ten more than {p90:.3g} s"
    return Suggestion(timeout, round(_SOFT * timeout, 3), reason)


def _round_up(seconds: float) -> float:
    unit = 10.0 ** math.floor(math.log10(seconds))
    return next(step * unit for step in _STEPS if step * unit >= seconds * (1 - 1e-9))
