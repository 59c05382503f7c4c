"""The next times of a schedule, with the days on which clocks are changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo

from jobplatform.recurrence import Recurrence, upcoming


@dataclass(frozen=True, slots=True)
class Run:
    """A time to come: in UTC, as the wall clock of the zone shows it, and what is special about the day."""

    at: datetime
    local: datetime
    note: str = ""


def preview(recurrence: Recurrence, zone: tzinfo, after: datetime, count: int) -> list[Run]:
    """List the next runs."""
    return [_run(at, zone) for at in upcoming(recurrence, after, count)]


def _run(at: datetime, zone: tzinfo) -> Run:
    local = at.astimezone(zone)
    return Run(at, local, clock_change(local))


def clock_change(local: datetime) -> str:
    """Say whether clocks are changed on the day of a local time, empty when they are not."""
    midnight = datetime.combine(local.date(), time(), local.tzinfo)
    tomorrow = datetime.combine(local.date() + timedelta(days=1), time(), local.tzinfo)
    before, after = midnight.utcoffset(), tomorrow.utcoffset()
    if before is None or after is None or before == after:
        return ""
    minutes = abs(int((after - before).total_seconds() // 60))
    return f"clocks go {'forward' if after > before else 'back'} by {minutes} minutes on this day"
