"""Times of a schedule in words, where they are as simple as words are; pure."""

from __future__ import annotations

import re

_NAMED = {
    "@hourly": "every hour",
    "@daily": "every day at 00:00",
    "@midnight": "every day at 00:00",
    "@weekly": "Sundays at 00:00",
    "@monthly": "on day 1 of each month at 00:00",
    "@yearly": "every year on 1 January at 00:00",
    "@annually": "every year on 1 January at 00:00",
}
_DAYS = ("Sundays", "Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")
_SHORT = {name: str(number) for number, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))}
_UNITS = {"s": "second", "m": "minute", "h": "hour", "d": "day"}
_EVERY = re.compile(r"@every\s+(\d+)([smhd])")
_STEP = re.compile(r"\*/(\d+)")


def cron_words(line: str) -> str | None:
    """Say when a schedule fires; None when it takes more than a few words."""
    text = line.strip().lower()
    if text in _NAMED:
        return _NAMED[text]
    every = _EVERY.fullmatch(text)
    if every:
        return _each(int(every[1]), _UNITS[every[2]])
    fields = text.split()
    if len(fields) != 5:
        return None
    minute, hour, day, month, weekday = fields
    if month != "*":
        return None
    days = _days(day, weekday)
    return None if days is None else _times(minute, hour, days)


def _times(minute: str, hour: str, days: str) -> str | None:
    if minute.isdecimal() and hour.isdecimal():
        return f"{days} at {int(hour):02d}:{int(minute):02d}"
    on = "" if days == "every day" else f", {days}"
    if minute.isdecimal() and hour == "*":
        return f"every hour at minute {int(minute)}{on}"
    step = _STEP.fullmatch(minute)
    if hour == "*" and (minute == "*" or step):
        return _each(int(step[1]) if step else 1, "minute") + on
    step = _STEP.fullmatch(hour)
    if minute.isdecimal() and step:
        return f"{_each(int(step[1]), 'hour')} at minute {int(minute)}{on}"
    return None


def _days(day: str, weekday: str) -> str | None:
    if day == "*" and weekday == "*":
        return "every day"
    if weekday == "*":
        return f"on day {day} of each month" if day.isdecimal() else None
    if day != "*":
        return None
    number = _SHORT.get(weekday, weekday)
    known = {"1-5": "weekdays", "mon-fri": "weekdays", "0,6": "weekends", "6,0": "weekends", "sat,sun": "weekends"}
    if weekday in known:
        return known[weekday]
    return _DAYS[int(number)] if number.isdecimal() and int(number) < len(_DAYS) else None


def _each(count: int, unit: str) -> str:
    return f"every {unit}" if count == 1 else f"every {count} {unit}s"
