"""Medians, ranges and percentiles; pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Summary:
    """The middle and the ends of some measurements."""

    median: float
    low: float
    high: float


def summary(values: Sequence[float]) -> Summary:
    """Sum up one measurement a round."""
    return Summary(statistics.median(values), min(values), max(values))


def worst(values: Sequence[float]) -> Summary:
    """Sum up measurements of which the largest is what counts."""
    return Summary(max(values), min(values), max(values))


def least(values: Sequence[float]) -> Summary:
    """Sum up measurements of which the smallest is what counts."""
    return Summary(min(values), min(values), max(values))


def percentile(values: Sequence[float], share: float) -> float:
    """Give the smallest value that at least a share of all values do not exceed.

    :param share: from 0 to 1.
    """
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Divide round by round, so that what slows the machine for a while slows both sides of a ratio."""
    return [mine / other for mine, other in zip(ours, theirs, strict=True)]


class Interval(NamedTuple):
    """A mean, and between what it lies with 95 % confidence."""

    mean: float
    low: float
    high: float


#: The 97.5 % quantiles of Student's t distribution for 1 to 30 degrees of freedom.
_STUDENT = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
    *(2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
)
_NORMAL = 1.960
_TAIL = 0.025


def confidence(differences: Sequence[float]) -> Interval:
    """Give the mean of paired differences with its 95 % interval (Student, "The Probable Error of a Mean", 1908)."""
    mean = statistics.fmean(differences)
    freedom = len(differences) - 1
    if freedom < 1:
        return Interval(mean, -math.inf, math.inf)
    quantile = _STUDENT[freedom - 1] if freedom <= len(_STUDENT) else _NORMAL + 2.4 / freedom
    half = quantile * statistics.stdev(differences) / math.sqrt(len(differences))
    return Interval(mean, mean - half, mean + half)


def count_interval(count: int) -> tuple[float, float]:
    """Give between which numbers, with 95 % certainty, the mean lies of what happened so often.

    F. Garwood, "Fiducial Limits for the Poisson Distribution", Biometrika 28, 1936.
    """
    low = _where(lambda mean: 1 - _at_most(count - 1, mean) >= _TAIL, count + 1.0) if count else 0.0
    return low, _where(lambda mean: _at_most(count, mean) <= _TAIL, 3.0 * count + 10.0)


def _at_most(count: int, mean: float) -> float:
    """Give the chance of so many or fewer when so many are met in the mean."""
    return sum(math.exp(-mean + number * math.log(mean) - math.lgamma(number + 1)) for number in range(count + 1))


def _where(holds: Callable[[float], bool], high: float) -> float:
    """Find from which value on something holds, by halving."""
    low = 1e-9
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
