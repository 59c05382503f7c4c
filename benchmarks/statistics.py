"""Medians, ranges and percentiles; pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


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
