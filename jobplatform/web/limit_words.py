"""What a limit says, as people read and write it; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Seconds of a unit, with its sign and its word.
_UNITS = ((1, "s", "second"), (60, "m", "minute"), (3_600, "h", "hour"), (86_400, "d", "day"))


def rate(per_second: float | None) -> str:
    """Write a rate as it is given, such as ``20/m``; nothing for none."""
    if per_second is None:
        return ""
    count, sign, _ = _scaled(per_second)
    return f"{count}/{sign}"


def bounds(row: Mapping[str, Any]) -> str:
    """Say what a limit lets run and begin."""
    said = [] if row["slots"] is None else [f"at most {row['slots']:,} at once"]
    if row["rate"] is not None:
        count, _, unit = _scaled(row["rate"])
        said.append(f"{count} a {unit}")
    if row["burst"] is not None:
        said.append(f"{_short(row['burst'])} together after a pause")
    return ", ".join(said)


def _scaled(per_second: float) -> tuple[str, str, str]:
    """Give a rate in the smallest unit in which it is whole, or else in which it is one at least."""
    whole = (unit for unit in _UNITS if round(per_second * unit[0]) and _is_whole(per_second * unit[0]))
    size, sign, word = next(whole, None) or next((unit for unit in _UNITS if per_second * unit[0] >= 1), _UNITS[-1])
    return _short(per_second * size), sign, word


def _is_whole(count: float) -> bool:
    return abs(count - round(count)) < 1e-6 * count


def _short(value: float) -> str:
    return f"{value:.4f}".rstrip("0").rstrip(".")
