"""A line of values over time as an SVG path, with round numbers beside it; pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

#: Of a drawing, and of what is left of it for the line.
WIDE, HIGH = 640, 170
LEFT, TOP, RIGHT, BOTTOM = 52, 10, 630, 140
_TICKS = 4


class Tick(NamedTuple):
    """A number at an axis."""

    at: float
    words: str


class Chart(NamedTuple):
    """A line, drawn.

    :param line: as an SVG path; it has gaps where there are no values.
    :param area: what is below it.
    """

    line: str
    area: str
    up: Sequence[Tick]
    across: Sequence[Tick]


def draw(times: Sequence[datetime], values: Sequence[float | None]) -> Chart:
    """Draw values, from nothing up to a round number above the largest."""
    most = ceiling(max((value for value in values if value is not None), default=0.0))
    places = [
        None if value is None else (_across(index, len(values)), BOTTOM - (BOTTOM - TOP) * value / most)
        for index, value in enumerate(values)
    ]
    parts = _parts(places)
    line = "".join(_path(part) for part in parts)
    area = "".join(f"{_path(part)}L{part[-1][0]:.1f} {BOTTOM}L{part[0][0]:.1f} {BOTTOM}Z" for part in parts)
    up = [Tick(BOTTOM - (BOTTOM - TOP) * part / 2, _short(most * part / 2)) for part in range(3)]
    shape = "%H:%M" if times and (times[-1] - times[0]).total_seconds() < 172_800 else "%d %b"
    steps = [round(part * (len(times) - 1) / _TICKS) for part in range(_TICKS + 1)] if times else []
    return Chart(line, area, up, [Tick(_across(index, len(times)), times[index].strftime(shape)) for index in steps])


def ceiling(value: float) -> float:
    """Give the next of 1, 2, 5, 10, 20 and so on."""
    if value <= 0:
        return 1.0
    size = 10.0 ** math.floor(math.log10(value))
    return next(size * each for each in (1, 2, 5, 10) if size * each >= value * 0.999_999)


def _across(index: int, count: int) -> float:
    return LEFT + (RIGHT - LEFT) * index / max(1, count - 1)


def _parts(places: Sequence[tuple[float, float] | None]) -> list[list[tuple[float, float]]]:
    parts: list[list[tuple[float, float]]] = [[]]
    for place in places:
        if place is not None:
            parts[-1].append(place)
        elif parts[-1]:
            parts.append([])
    return [part for part in parts if part]


def _path(part: Sequence[tuple[float, float]]) -> str:
    # A value alone is drawn as a line that is as short as can be seen.
    known = part if len(part) > 1 else [part[0], (part[0][0] + 2.0, part[0][1])]
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in known)


def _short(value: float) -> str:
    for size, sign in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{sign}"
    return f"{value:g}"
