"""When something recurs: by a cron line in a time zone, or after a fixed interval; pure functions of moments.

A cron line that names hours fires once a day for each of them: when clocks are put forward, what would be in the gap
fires right after it, once; when they are put back, the first of the two hours counts. A cron line whose minutes or
hours begin with ``*``, or that names every hour, is an interval: it follows real time, fires in both hours, and has
neither gap nor hole. These are the rules of Debian's cron (``man 8 cron``), widened by "names every hour". An interval
that is given as such knows no zone.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import islice, takewhile
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from jobplatform.errors import ScheduleError

_ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_FIELDS = ("minute", "hour", "day of month", "month", "day of week")
_HOURS = frozenset(range(24))
_EVERY = re.compile(r"@every\s+((?:\d+(?:\.\d+)?(?:ms|[smhdw]))+)")
#: A step through a range of one, which cronsim reads as one without an end.
_ONE = re.compile(r"\b(\w+)-\1/\d+\b")
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdw])")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0, "w": 604_800.0}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)
_TICK = timedelta(microseconds=1)
#: For so many days ahead it is looked for changes of clocks at once.
_LOOKED_AHEAD = 200
#: The longest that an expression may be: what the column holds.
_LONGEST = 100


@dataclass(frozen=True, slots=True)
class Cron:
    """A cron line of five fields in a time zone."""

    line: str
    zone: ZoneInfo

    def after(self, moment: datetime) -> Iterator[datetime]:
        """Give the times after a moment, in UTC, earliest first; there may be no end to them."""
        return self._by_real_time(moment) if self.is_interval else self._by_wall_clock(moment)

    def _by_wall_clock(self, moment: datetime) -> Iterator[datetime]:
        last = moment
        for local in CronSim(self.line, moment.astimezone(self.zone)):
            found = local.astimezone(UTC)
            # The wall clock shows some times twice.
            if found > last:
                yield found
                last = found

    def _by_real_time(self, moment: datetime) -> Iterator[datetime]:
        begin = moment.astimezone(UTC)
        while True:
            offset, end = _steady(self.zone, begin)
            for wall in CronSim(self.line, (begin + offset).replace(tzinfo=None)):
                found = (wall - offset).replace(tzinfo=UTC)
                if found >= end:
                    break
                yield found
            else:
                return
            begin = end - _SECOND

    @property
    def is_interval(self) -> bool:
        """Whether it follows real time rather than the wall clock."""
        return any(field.startswith("*") for field in self.line.split()[:2])


@dataclass(frozen=True, slots=True)
class Every:
    """A fixed interval, counted from the beginning of 1970 in UTC, so that it needs no memory.

    :param offset: by how much it fires later than at whole multiples.
    """

    interval: timedelta
    offset: timedelta = timedelta()

    def after(self, moment: datetime) -> Iterator[datetime]:
        """Give the times after a moment, in UTC, earliest first, without end."""
        number = (moment - _EPOCH - self.offset) // self.interval
        while True:
            number += 1
            yield _EPOCH + self.offset + number * self.interval


Recurrence = Cron | Every


def _steady(zone: ZoneInfo, moment: datetime) -> tuple[timedelta, datetime]:
    """Give how far a zone is ahead of UTC right after a moment, and until when at the least that stays so."""
    after = moment + _SECOND
    offset = _offset(zone, after)
    day = datetime(after.year, after.month, after.day, tzinfo=UTC)
    for change in _changes(zone, day):
        if change > after:
            return offset, change
    return offset, day + _LOOKED_AHEAD * _DAY


@lru_cache(maxsize=4096)
def _changes(zone: ZoneInfo, day: datetime) -> tuple[datetime, ...]:
    """Give the next two moments from a day on at which the clocks of a zone are changed, if they come soon."""
    found: list[datetime] = []
    for number in range(_LOOKED_AHEAD):
        low, high = day + number * _DAY, day + (number + 1) * _DAY
        if _offset(zone, low) != _offset(zone, high):
            found.append(_change_between(zone, low, high))
        if len(found) == 2:
            break
    return tuple(found)


def _change_between(zone: ZoneInfo, low: datetime, high: datetime) -> datetime:
    """Find the moment at which clocks are changed, to the second."""
    before = _offset(zone, low)
    while high - low > _SECOND:
        middle = low + (high - low) // _SECOND // 2 * _SECOND
        low, high = (middle, high) if _offset(zone, middle) == before else (low, middle)
    return high


def _offset(zone: ZoneInfo, moment: datetime) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta()


@lru_cache(maxsize=4096)
def parse(expression: str, timezone: str = "UTC") -> Recurrence:
    """Read when something recurs.

    :param expression: a cron line of five fields with names, ranges, steps, ``L``, ``LW`` and ``#``; ``@daily`` and the
        like; or ``@every`` with a duration such as ``90s`` or ``1h30m``.
    :param timezone: an IANA name.
    :raises ScheduleError: naming the field that is wrong.
    """
    text = " ".join(expression.split())
    if not text or len(text) > _LONGEST:
        raise ScheduleError(f"cron_expression: it has {len(text)} characters; give 1 to {_LONGEST}")
    zone = _zone(timezone)
    if text.lower().startswith("@every"):
        return Every(_interval(text.lower()))
    if text.startswith("@") and text.lower() not in _ALIASES:
        known = ", ".join([*_ALIASES, "@every 90s"])
        raise ScheduleError(f"cron_expression: {text!r} is not known; give five fields, or one of {known}")
    line = _ALIASES.get(text.lower(), text)
    fields = line.split(" ")
    if len(fields) != len(_FIELDS):
        raise ScheduleError(f"cron_expression: {text!r} has {len(fields)} fields, not five: {', '.join(_FIELDS)}")
    return Cron(_normal(line, fields), zone)


def _normal(line: str, fields: list[str]) -> str:
    """Check a line, and write every hour as ``*`` and a range of one as its number."""
    fields = [_ONE.sub(r"\1", field) for field in fields]
    try:
        parsed = CronSim(" ".join(fields), _EPOCH)
    except (CronSimError, ValueError) as error:
        said = str(error).removeprefix("Bad ").replace("-", " ")
        where = said if said in _FIELDS else "the line"
        raise ScheduleError(f"cron_expression: {line!r}: {where} is not understood, or never comes") from error
    if parsed.hours == _HOURS:
        fields = [fields[0], "*", *fields[2:]]
    return " ".join(fields)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (LookupError, OSError, ValueError) as error:
        raise ScheduleError(f"timezone: {name!r} is no IANA time zone; give one such as Europe/Berlin") from error


def _interval(text: str) -> timedelta:
    match = _EVERY.fullmatch(text)
    parts = _PART.findall(match.group(1)) if match else []
    interval = timedelta(seconds=sum(float(number) * _SECONDS[unit] for number, unit in parts))
    if interval < timedelta(seconds=1):
        raise ScheduleError(f"cron_expression: {text!r} is no interval of a second or more; write it as @every 1h30m")
    return interval


def upcoming(recurrence: Recurrence, moment: datetime, count: int) -> list[datetime]:
    """List the next times after a moment, at most so many."""
    return list(islice(recurrence.after(moment), count))


def between(recurrence: Recurrence, begin: datetime, end: datetime, most: int) -> list[datetime]:
    """List the first times from ``begin`` to ``end``, both included, at most so many."""
    found = takewhile(lambda at: at <= end, recurrence.after(begin - _TICK))
    return list(islice(found, most))


def latest(recurrence: Recurrence, begin: datetime, end: datetime, count: int) -> list[datetime]:
    """List the last times from ``begin`` to ``end``, both included, at most so many, earliest first.

    It looks back in growing steps, so that it costs the same however far away ``begin`` is.
    """
    span = timedelta(hours=1)
    found: deque[datetime] = deque(maxlen=count)
    while True:
        start = max(begin, end - span)
        found.extend(takewhile(lambda at: at <= end, recurrence.after(start - _TICK)))
        if len(found) == count or start == begin:
            return list(found)
        found.clear()
        span *= 8
