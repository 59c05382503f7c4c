"""What is likely wrong with schedules: pure functions of their rows and of what is known of their jobs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from jobplatform.errors import ScheduleError
from jobplatform.recurrence import Cron, Recurrence, parse, upcoming
from jobplatform.scheduling.preview import clock_change

#: So many schedules at one moment are a collision.
_MANY = 10
#: Times that are looked at of each schedule.
_LOOKED_AT = 50
#: A schedule that did not fire for so many intervals is silent.
_SILENT_INTERVALS = 3
_YEAR = timedelta(days=366)


class Trap(StrEnum):
    """The kinds of findings."""

    PROBLEM = "problem"
    NEVER = "never fires"
    OVERLAP = "overlap likely"
    COLLISION = "collision"
    CLOCKS = "clock change"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class Remark:
    """What is likely wrong, and what may mend it."""

    schedule: str
    trap: Trap
    found: str
    fix: str


def lint(rows: Sequence[Mapping[str, Any]], durations: Mapping[str, float], now: datetime) -> list[Remark]:
    """Look at all schedules.

    :param durations: how long the jobs of a type run, the 95th percentile in seconds, by type.
    """
    warnings: list[Remark] = []
    moments: Counter[datetime] = Counter()
    for row in rows:
        name = row["name"]
        try:
            recurrence = parse(row["cron_expression"], row["timezone"])
        except ScheduleError as error:
            warnings.append(Remark(name, Trap.PROBLEM, str(error), "change it, and resume the schedule"))
            continue
        times = upcoming(recurrence, now, _LOOKED_AT)
        if row["enabled"]:
            moments.update(set(times[:1]) if not row["spread"] else ())
        warnings += _of_one(row, recurrence, times, durations.get(row["job_type"]), now)
    return warnings + _collisions(moments)


def _of_one(
    row: Mapping[str, Any], recurrence: Recurrence, times: Sequence[datetime], duration: float | None, now: datetime
) -> Iterator[Remark]:
    name = row["name"]
    if not times:
        yield Remark(name, Trap.NEVER, f"{row['cron_expression']} has no time to come", "change it, or remove it")
        return
    interval = min((later - earlier for earlier, later in pairwise(times)), default=_YEAR)
    if duration is not None and duration > interval.total_seconds():
        found = f"its jobs run for {duration:.0f} s (p95), and it fires every {interval.total_seconds():.0f} s"
        fix = f"fire less often, or choose what becomes of overlaps; it is {row['overlap']!r} now"
        yield Remark(name, Trap.OVERLAP, found, fix)
    yield from _clock_traps(name, recurrence, now)
    last = row["last_run"]
    if row["enabled"] and last is not None and now - last > _SILENT_INTERVALS * max(interval, timedelta(seconds=20)):
        found = f"it fired last at {last:%Y-%m-%d %H:%M:%S}, and fires every {interval.total_seconds():.0f} s"
        yield Remark(name, Trap.SILENT, found, "see whether a beat runs: celery -A jobplatform beat")


def _clock_traps(name: str, recurrence: Recurrence, now: datetime) -> Iterator[Remark]:
    """Find the next day within a year on which a line fires about the hour at which clocks are changed."""
    if not isinstance(recurrence, Cron) or recurrence.zone.key == "UTC":
        return
    for change in _changes(recurrence.zone, now):
        begin, end = change - timedelta(hours=2), change + timedelta(hours=2)
        hit = [at for at in upcoming(recurrence, begin, _LOOKED_AT) if at < end]
        if not hit:
            continue
        if recurrence.is_interval:
            continue
        local = hit[0].astimezone(recurrence.zone)
        found = f"it fires at {local:%Y-%m-%d %H:%M%z}, and {clock_change(local)}"
        yield Remark(name, Trap.CLOCKS, found, "see: jobplatform schedules preview; choose another hour, or UTC")
        return


def _changes(zone: ZoneInfo, now: datetime) -> Iterator[datetime]:
    """Give the moments within a year at which clocks are changed, to the hour."""
    hour = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    end = hour + _YEAR
    while hour < end:
        day = hour + timedelta(days=1)
        if hour.astimezone(zone).utcoffset() != day.astimezone(zone).utcoffset():
            moment = hour
            while moment.astimezone(zone).utcoffset() == hour.astimezone(zone).utcoffset():
                moment += timedelta(hours=1)
            yield moment
        hour = day


def _collisions(moments: Counter[datetime]) -> list[Remark]:
    return [
        Remark("*", Trap.COLLISION, f"{count} schedules fire at {at:%Y-%m-%d %H:%M:%S} UTC", "give them a spread")
        for at, count in moments.most_common(3)
        if count >= _MANY
    ]
