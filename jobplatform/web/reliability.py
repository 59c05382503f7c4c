"""What a model foretold against what came true, drawn: on the diagonal the two are the same; pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

#: Of a drawing, and where its plot begins and ends.
SIDE, LEFT, TOP, RIGHT, BOTTOM = 320, 40, 10, 310, 280


class Dot(NamedTuple):
    """A part of the outcomes: the mean chance that was foretold, the share that came true, and how many these are.

    :param x: of the dot in the drawing, as are ``y`` and ``radius``.
    """

    foretold: float
    came: float
    outcomes: int
    x: float
    y: float
    radius: float


class Plot(NamedTuple):
    """Dots, and the line through them as an SVG path."""

    dots: Sequence[Dot]
    line: str


def plot(points: Sequence[Sequence[float]]) -> Plot:
    """Draw parts of outcomes, each as a mean chance, a share that came true, and a number of outcomes."""
    most = max((point[2] for point in points), default=1.0) or 1.0
    dots = [
        Dot(told, came, round(count), across(told), up(came), round(3 + 5 * (count / most) ** 0.5, 1))
        for told, came, count in points
    ]
    return Plot(dots, "M" + "L".join(f"{dot.x} {dot.y}" for dot in dots) if dots else "")


def across(share: float) -> float:
    """Give where a chance lies."""
    return round(LEFT + (RIGHT - LEFT) * min(1.0, max(0.0, share)), 1)


def up(share: float) -> float:
    """Give where a share that came true lies."""
    return round(BOTTOM - (BOTTOM - TOP) * min(1.0, max(0.0, share)), 1)
