"""Which delay is worth most, given the chance that the next attempt succeeds after each.

With ``n`` attempts left, each after the same delay ``d`` and with the same chance ``p(d)``, a job succeeds with
``S = 1 - (1 - p)^n`` and takes ``S / p`` attempts (a geometric law, cut off). The value of a delay is what a success is
worth, less what waiting and the load of the attempts cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log
from random import Random
from typing import NamedTuple

#: Delays that are considered, in seconds.
DELAYS = (1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 60.0, 90.0, 150.0, 240.0, 400.0, 700.0, 1200.0, 2400.0, 3600.0)
#: What a success is worth, and what an attempt costs, in seconds of waiting.
SUCCESS_SECONDS, ATTEMPT_SECONDS = 3600.0, 45.0
#: A delay that is worth so many seconds less than the best is chosen by 1/e as often.
_TEMPERATURE = 20.0
#: No delay is shorter, in seconds, so that those that failed together are spread.
_SHORTEST = 0.5


class Choice(NamedTuple):
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


@dataclass(frozen=True, slots=True)
class Drawn:
    """A delay in seconds that was drawn, the choice behind it, and its density over the logarithm of the delay."""

    choice: Choice
    delay: float
    propensity: float


def draw(chances: Sequence[tuple[float, float]], attempts_left: int, seconds_left: float | None, luck: Random) -> Drawn:
    """Draw a delay: the more likely, the less its value falls short of the greatest.

    Those that failed together would come back together, if each chose the best delay. A delay stands for all until the
    next; the weights are those of a softmax (R. Sutton, A. Barto, "Reinforcement Learning", 2nd ed., section 2.8).
    """
    choices = [_weigh(delay, chance, attempts_left, seconds_left) for delay, chance in chances]
    best = max(choice.value for choice in choices)
    weights = [exp((choice.value - best) / _TEMPERATURE) for choice in choices]
    place = luck.choices(range(len(choices)), weights)[0]
    low = max(choices[place].delay, _SHORTEST)
    high = choices[place + 1].delay if place + 1 < len(choices) else 2.0 * low
    return Drawn(choices[place], low * (high / low) ** luck.random(), weights[place] / sum(weights) / log(high / low))


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
    ever = 1.0 - (1.0 - chance) ** fitting if fitting > 0 else 0.0
    attempts = ever / chance
    value = ever * SUCCESS_SECONDS - attempts * (delay + ATTEMPT_SECONDS)
    return Choice(delay, chance, ever, value)
