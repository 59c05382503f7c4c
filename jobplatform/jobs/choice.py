"""Which delay is worth most, given the chance that the next attempt succeeds after each.

With ``n`` attempts left, each after the same delay ``d`` and with the same chance ``p(d)``, a job succeeds with
``S = 1 - (1 - p)^n`` and takes ``S / p`` attempts (a geometric law, cut off). The value of a delay is what a success is
worth, less what waiting and the load of the attempts cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

#: Delays that are considered, in seconds.
DELAYS = (1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 60.0, 90.0, 150.0, 240.0, 400.0, 700.0, 1200.0, 2400.0, 3600.0)
#: What a success is worth, and what an attempt costs, in seconds of waiting.
SUCCESS_SECONDS, ATTEMPT_SECONDS = 3600.0, 45.0


@dataclass(frozen=True, slots=True)
class Choice:
    """A delay in seconds, the chance of the next attempt after it, and that of ever succeeding with it."""

    delay: float
    chance: float
    ever: float
    value: float


def choose(chances: Sequence[tuple[float, float]], attempts_left: int, seconds_left: float | None) -> Choice:
    """Choose the delay of the greatest value.

    :param chances: pairs of delay and chance, at least one.
    :param seconds_left: until the deadline of the job; None for no deadline.
    """
    return max((_weigh(delay, chance, attempts_left, seconds_left) for delay, chance in chances), key=_by_value)


def chance_after(chances: Sequence[tuple[float, float]], delay: float) -> float:
    """Give the chance after any delay, between its neighbours on a logarithmic scale.

    :param chances: pairs of delay and chance, the shorter delays first.
    """
    before = [pair for pair in chances if pair[0] <= delay]
    after = [pair for pair in chances if pair[0] > delay]
    if not before or not after:
        return (before[-1] if before else after[0])[1]
    (left, low), (right, high) = before[-1], after[0]
    part = log(max(delay, left, 0.1) / max(left, 0.1)) / log(right / max(left, 0.1))
    return low + part * (high - low)


def _by_value(choice: Choice) -> tuple[float, float]:
    return choice.value, -choice.delay


def _weigh(delay: float, chance: float, attempts_left: int, seconds_left: float | None) -> Choice:
    chance = min(max(chance, 1e-4), 1.0)
    fitting = attempts_left if seconds_left is None else min(attempts_left, int(seconds_left / max(delay, 1.0)))
    ever = 1.0 - (1.0 - chance) ** max(fitting, 0)
    attempts = ever / chance
    value = ever * SUCCESS_SECONDS - attempts * (delay + ATTEMPT_SECONDS)
    return Choice(delay, chance, ever, value)
