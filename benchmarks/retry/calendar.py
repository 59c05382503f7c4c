"""When a dependency is away: spans of time, how they are drawn, and how long real outages were."""

from __future__ import annotations

import csv
import gzip
import math
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TextIO

from numpy.random import Generator

#: Seconds that real outages took: the median, and the deviation of the logarithm at which 5 % are below 333 s and
#: 95 % below 7,450 s or so.
_MEDIAN, _DEVIATION = 923.0, 1.0


class Span(NamedTuple):
    """Some time away.

    :param strength: the share of the calls that fail, or of the capacity that is gone.
    """

    begin: float
    end: float
    strength: float = 1.0


@dataclass(frozen=True, slots=True)
class Calendar:
    """Spans in their order, none of which touches another."""

    spans: tuple[Span, ...] = ()

    def at(self, now: float) -> Span | None:
        """Give the span in which a time lies."""
        place = bisect_right(self.spans, now, key=lambda span: span.begin) - 1
        return self.spans[place] if place >= 0 and now < self.spans[place].end else None

    def over(self, now: float) -> float:
        """Give the first time from now on that lies in no span."""
        span = self.at(now)
        return now if span is None else span.end

    def weight(self, begin: float, end: float) -> float:
        """Give the seconds between two times that lie in spans, weighed by their strength."""
        first = max(0, bisect_right(self.spans, begin, key=lambda span: span.begin) - 1)
        total = 0.0
        for span in self.spans[first:]:
            if span.begin >= end:
                break
            total += max(0.0, min(end, span.end) - max(begin, span.begin)) * span.strength
        return total


ALWAYS_UP = Calendar()
#: Draws how long one outage takes, in seconds.
Length = Callable[[], float]


def random_spans(draw: Generator, horizon: float, gap: float, length: Length, strength: Length) -> Calendar:
    """Draw outages with memoryless times between them.

    :param gap: mean seconds from the end of one to the begin of the next.
    """
    return Calendar(tuple(_spans(draw, horizon, gap, length, strength)))


def _spans(draw: Generator, horizon: float, gap: float, length: Length, strength: Length) -> Iterator[Span]:
    begin = float(draw.exponential(gap))
    while begin < horizon:
        end = begin + max(1.0, length())
        yield Span(begin, end, strength())
        begin = end + 1.0 + float(draw.exponential(gap))


def fixed_windows(horizon: float, first: float, period: float, length: float) -> Calendar:
    """Give windows of one length that recur."""
    starts = [first + number * period for number in range(math.ceil(max(0.0, horizon - first) / period))]
    return Calendar(tuple(Span(start, start + min(length, period - 1.0)) for start in starts))


def synthetic_durations(draw: Generator, number: int = 2_000) -> tuple[float, ...]:
    """Draw durations like those of real outages, in seconds."""
    return tuple(float(value) for value in draw.lognormal(math.log(_MEDIAN), _DEVIATION, number))


def read_durations(directory: Path) -> tuple[float, ...]:
    """Read how many seconds real outages took: the column ``dur`` of each ``outages/*.csv`` or ``*.csv.gz``.

    :raises ValueError: if there is none.
    """
    found: list[float] = []
    for path in sorted((directory / "outages").glob("*.csv*")):
        with _open(path) as lines:
            found.extend(float(row["dur"]) for row in csv.DictReader(lines) if row.get("dur"))
    durations = tuple(seconds for seconds in found if seconds > 0)
    if not durations:
        raise ValueError(f"--data: {directory}/outages has no CSV file with a column dur; leave --data out or fix it")
    return durations


def _open(path: Path) -> TextIO:
    return gzip.open(path, "rt", newline="") if path.suffix == ".gz" else path.open(newline="")
