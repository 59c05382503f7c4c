"""A small line of what was, without axes: its shape alone, as its numbers stand beside; pure."""

from __future__ import annotations

from collections.abc import Sequence

#: Of a drawing, and what is left free of it at each side.
WIDE, HIGH, EDGE = 120, 28, 2


def line(values: Sequence[float | None]) -> str:
    """Draw values as an SVG path from nothing up to the largest; a value alone is a short line, and none is a gap."""
    most = max((value for value in values if value is not None), default=0.0) or 1.0
    across = (WIDE - 2 * EDGE) / max(1, len(values) - 1)
    path, before = [], False
    for index, value in enumerate(values):
        if value is not None:
            x, y = EDGE + across * index, HIGH - EDGE - (HIGH - 2 * EDGE) * value / most
            path.append(f"{'L' if before else 'M'}{x:.1f} {y:.1f}{'' if before else 'h1'}")
        before = value is not None
    return "".join(path)
