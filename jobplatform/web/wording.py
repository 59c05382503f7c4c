"""Values as people read them: times, durations, numbers, decisions; pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

#: Seconds of a unit, from the largest, with its sign.
_UNITS: tuple[tuple[int, str], ...] = ((86_400, "d"), (3_600, "h"), (60, "min"))
_NONE = "\N{EN DASH}"


def number(value: Any) -> str:
    """Write a number with commas between thousands."""
    if value is None:
        return _NONE
    whole, part = int(value), float(value)
    if part == whole:
        return f"{whole:,}"
    return f"{part:,.0f}" if abs(part) >= 100 else f"{part:,.2f}".rstrip("0").rstrip(".")


def duration(seconds: float | None) -> str:
    """Write a number of seconds in its two largest units."""
    if seconds is None:
        return _NONE
    if seconds < 0:
        return f"-{duration(-seconds)}"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    for at, (size, sign) in enumerate(_UNITS):
        if seconds >= size:
            whole, rest = divmod(round(seconds), size)
            below, mark = _UNITS[at + 1] if at + 1 < len(_UNITS) else (1, "s")
            part = rest // below
            return f"{whole} {sign} {part} {mark}" if part else f"{whole} {sign}"
    return _NONE


def ago(when: datetime | None, now: datetime) -> str:
    """Write how long ago something was, or in how long it will be."""
    if when is None:
        return _NONE
    passed = (now - when).total_seconds()
    if abs(passed) < 1:
        return "now"
    said = _coarse(abs(passed))
    return f"{said} ago" if passed > 0 else f"in {said}"


def _coarse(seconds: float) -> str:
    for size, sign in _UNITS:
        if seconds >= size:
            return f"{int(seconds // size)} {sign}"
    return f"{int(seconds)} s"


def utc(when: datetime | None) -> str:
    """Write a time in full, in UTC."""
    return _NONE if when is None else f"{when.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def moment(when: datetime) -> str:
    """Write the time of something short, in UTC, to the millisecond."""
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M:%S}.{when.microsecond // 1000:03d}"


def between(start: datetime | None, end: datetime | None) -> float | None:
    """Give the seconds between two times, never fewer than none: clocks of two machines differ."""
    return None if start is None or end is None else max(0.0, (end - start).total_seconds())


def share(value: float | None) -> str:
    """Write a share as a percentage."""
    return _NONE if value is None else f"{value:.0%}"


def plural(count: int, word: str, many: str | None = None) -> str:
    """Write how many there are of something."""
    return f"{count:,} {word if count == 1 else many or word + 's'}"


def decided(row: Mapping[str, Any]) -> str:
    """Say what was decided after a failure, why, and what came of it."""
    said = (
        "Gave it up"
        if row["delay_seconds"] is None
        else f"Tried again after {duration(row['delay_seconds'])}"
        if row["delay_seconds"]
        else "Tried again at once"
    )
    parts = [f"{said}: {row['reason']}"]
    if row["chance"] is not None:
        parts.append(f"the chance that the next attempt succeeds was put at {share(row['chance'])}")
    if row["eventual"] is not None:
        parts.append(f"that the job succeeds in the end at {share(row['eventual'])}")
    parts.append(f"decided by {row['decided_by']}")
    sentence = "; ".join(parts) + "."
    if row["outcome"] is not None:
        sentence += f" The next attempt {row['outcome']}"
        sentence += f" after a wait of {duration(row['waited_seconds'])}." if row["waited_seconds"] is not None else "."
    return sentence


def plain(value: Any) -> str:
    """Write a text so that what cannot be seen, or turns how the rest is read, is seen by its number."""
    return "".join(
        each if each in "\n\t" or unicodedata.category(each)[0] != "C" else f"\\u{ord(each):04x}" for each in str(value)
    )


def initial(value: str | None, most: int) -> str:
    """Shorten a text, so that one can see that it was."""
    text = value or ""
    return text if len(text) <= most else f"{text[: most - 1]}…"
