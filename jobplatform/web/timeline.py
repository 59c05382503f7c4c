"""What became of a job, as spans of time, and where these stand in a drawing; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from jobplatform.states import FINAL

Row = Mapping[str, Any]

#: How a span is drawn, by how an attempt ended.
_TONES = {"COMPLETED": "good", "FAILED": "bad", "RETRYING": "bad", "PROCESSING": "run"}


class Span(NamedTuple):
    """A time in which one thing was so.

    :param tone: how it is drawn.
    :param end: None when it goes on.
    """

    words: str
    tone: str
    start: datetime
    end: datetime | None


class Bar(NamedTuple):
    """A span in a drawing; across it, the whole time is 1,000 wide."""

    span: Span
    x: float
    width: float


def spans(job: Row, attempts: Sequence[Row]) -> list[Span]:
    """Give waits and runs in turn, from submission to the end or until now."""
    found: list[Span] = []
    before = job["created_at"]
    for attempt in attempts:
        if attempt["started_at"] is None:
            continue
        if attempt["started_at"] > before:
            words = "waited" if not found else f"waited for attempt {attempt['attempt_number']}"
            found.append(Span(words, "wait", before, attempt["started_at"]))
        tone = _TONES.get(attempt["status"], "warn")
        ran = f"attempt {attempt['attempt_number']} ({attempt['status'].lower()})"
        found.append(Span(ran, tone, attempt["started_at"], attempt["completed_at"]))
        before = max(before, attempt["completed_at"] or before)
    running = bool(found) and found[-1].end is None
    if not running and job["status"] not in FINAL:
        found.append(Span(f"is {job['status'].lower()}", "wait", before, None))
    elif job["completed_at"] and job["status"] == "CANCELLED" and job["completed_at"] > before:
        found.append(Span("waited until it was cancelled", "still", before, job["completed_at"]))
    return found


def bars(found: Sequence[Span], now: datetime, least: float = 3.0) -> list[Bar]:
    """Place spans to scale; what would be too narrow to see is made as wide as ``least``."""
    if not found:
        return []
    start = found[0].start
    whole = max(1e-3, max(((span.end or now) - start).total_seconds() for span in found))
    placed = []
    for span in found:
        x = 1000 * max(0.0, (span.start - start).total_seconds()) / whole
        width = max(least, 1000 * ((span.end or now) - span.start).total_seconds() / whole)
        placed.append(Bar(span, min(x, 1000 - least), min(width, 1000 - min(x, 1000 - least))))
    return placed
