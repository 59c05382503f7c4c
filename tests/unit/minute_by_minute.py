"""The rules of recurrence once more, slow and plain: look at every minute of the world, one by one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_NAMES = {name: number for first, names in ((0, _DAYS), (1, _MONTHS)) for number, name in enumerate(names, first)}
#: The last day of a week is Sunday again.
_SIZES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))


def fires(line: str, zone: str, after: datetime, until: datetime) -> list[datetime]:
    """List all times in (after, until] at which a cron line fires, in UTC."""
    return list(_fires(line.upper().split(), ZoneInfo(zone), after, until))


def _fires(fields: list[str], zone: ZoneInfo, after: datetime, until: datetime) -> Iterator[datetime]:
    minutes, hours = fields[:2]
    every_hour = {hour for hour in range(24) if _in_field(hours, 1, hour)} == set(range(24))
    interval = minutes.startswith("*") or hours.startswith("*") or every_hour
    moment = after.astimezone(UTC).replace(second=0, microsecond=0)
    while (moment := moment + MINUTE) <= until:
        wall = moment.astimezone(zone)
        matching = _matches(fields, wall.replace(tzinfo=None))
        if interval:
            fire = matching
        else:
            gap = _gap_before(moment, zone)
            fire = (matching and not wall.fold) or any(_matches(fields, missing) for missing in gap)
        if fire:
            yield moment


def _gap_before(moment: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    """Give the minutes of the wall clock that are skipped right before a moment."""
    before, now = ((at.astimezone(zone)).replace(tzinfo=None) for at in (moment - MINUTE, moment))
    while (before := before + MINUTE) < now:
        yield before


def _matches(fields: list[str], wall: datetime) -> bool:
    minute, hour, day, month, weekday = fields
    if not (_in_field(minute, 0, wall.minute) and _in_field(hour, 1, wall.hour) and _in_field(month, 3, wall.month)):
        return False
    in_days = any(_is_day(term, wall.date()) for term in day.split(","))
    in_weekdays = any(_is_weekday(term, wall.date()) for term in weekday.split(","))
    both = day.startswith("*") or weekday.startswith("*")
    return (in_days and in_weekdays) if both else (in_days or in_weekdays)


def _is_day(term: str, day: date) -> bool:
    last = (day.replace(day=1) + timedelta(days=32)).replace(day=1) - timedelta(days=1)
    if term == "L":
        return day == last
    if term == "LW":
        while last.isoweekday() > 5:
            last -= timedelta(days=1)
        return day == last
    return _in_term(term, 2, day.day)


def _is_weekday(term: str, day: date) -> bool:
    number = day.isoweekday() % 7
    if "#" in term:
        wanted, nth = term.split("#")
        return _number(wanted) % 7 == number and (day.day - 1) // 7 + 1 == int(nth)
    if term.endswith("L"):
        return int(term[:-1]) % 7 == number and (day + timedelta(days=7)).month != day.month
    return _in_term(term, 4, number) or (number == 0 and _in_term(term, 4, 7))


def _in_field(field: str, place: int, value: int) -> bool:
    return any(_in_term(term, place, value) for term in field.split(","))


def _in_term(term: str, place: int, value: int) -> bool:
    """Tell whether a value is in a term such as ``*/5``, ``MON-FRI`` or ``3``."""
    span, _, step = term.partition("/")
    low, high = _SIZES[place]
    if span != "*":
        first, _, last = span.partition("-")
        low = _number(first)
        high = _number(last) if last else (high if step else low)
    return low <= value <= high and (value - low) % int(step or 1) == 0


def _number(text: str) -> int:
    return _NAMES[text] if text in _NAMES else int(text)
