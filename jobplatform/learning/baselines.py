"""Forecasts without a model, which a model must beat."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np

from jobplatform.learning.history import ALL, LAST_ATTEMPT, PRIOR
from jobplatform.learning.scores import Floats, brier
from jobplatform.learning.training import Example

#: Gives each example the chance that the next attempt succeeds.
Forecast = Callable[[Sequence[Example]], Floats]


def outcomes(examples: Sequence[Example]) -> Floats:
    """Give 1.0 for each next attempt that succeeded."""
    return np.array([each.succeeded for each in examples], dtype=np.float64)


def base_rate(examples: Sequence[Example]) -> Forecast:
    """Foretell the share that succeeded."""
    rate = float(outcomes(examples).mean())
    return lambda others: np.full(len(others), rate)


def attempt_table(examples: Sequence[Example]) -> Forecast:
    """Foretell the share of the same attempt number that succeeded, drawn towards that of all."""
    rate = float(outcomes(examples).mean())
    shown: defaultdict[int, list[bool]] = defaultdict(list)
    for each in examples:
        shown[_attempt(each)].append(each.succeeded)
    table = {attempt: (sum(came) + PRIOR * rate) / (len(came) + PRIOR) for attempt, came in shown.items()}
    return lambda others: np.array([table.get(_attempt(each), rate) for each in others])


def group_rate(level: str) -> Forecast:
    """Foretell the smoothed rate of the group, as its history knew it at the decision."""
    return lambda others: np.array([each.features.get(f"{level}.rate") or 0.0 for each in others])


def the_rule(examples: Sequence[Example], levels: Sequence[str]) -> tuple[str, Forecast]:
    """Choose, among all of these, what foretells the examples that it was made from best; give its name as well."""
    forecasts = {"base rate": base_rate(examples), "attempt table": attempt_table(examples)}
    forecasts |= {f"{level} rate": group_rate(level) for level in (*levels, ALL)}
    came = outcomes(examples)
    name = min(forecasts, key=lambda each: brier(came, forecasts[each](examples)))
    return name, forecasts[name]


def _attempt(example: Example) -> int:
    return min(int(example.features.get("attempt") or 0), LAST_ATTEMPT)
