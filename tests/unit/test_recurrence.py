"""When something recurs, on the days that clocks are changed and on all others."""

from __future__ import annotations

import itertools
import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import minute_by_minute
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jobplatform.errors import ScheduleError
from jobplatform.recurrence import Every, parse, upcoming

BERLIN, YORK, HOWE, NEPAL = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"


def walls(expression: str, zone: str, start: str, count: int) -> list[str]:
    """Show the next times after one of the wall clock as the wall clock shows them, with their offset."""
    moment = datetime.fromisoformat(start).replace(tzinfo=ZoneInfo(zone))
    found = upcoming(parse(expression, zone), moment, count)
    return [at.astimezone(ZoneInfo(zone)).strftime("%m-%d %H:%M%z") for at in found]


@pytest.mark.parametrize(
    ("expression", "zone", "start", "expected"),
    [
        # Europe/Berlin, 29 March 2026: 02:00 to 03:00 is left out.
        ("30 2 * * *", BERLIN, "2026-03-28T12:00", ["03-29 03:00+0200", "03-30 02:30+0200"]),
        ("0,30 2 * * *", BERLIN, "2026-03-28T12:00", ["03-29 03:00+0200", "03-30 02:00+0200"]),
        ("30 1,3 * * *", BERLIN, "2026-03-28T12:00", ["03-29 01:30+0100", "03-29 03:30+0200"]),
        ("0 3 * * *", BERLIN, "2026-03-28T12:00", ["03-29 03:00+0200", "03-30 03:00+0200"]),
        ("30 2 29 3 *", BERLIN, "2026-03-28T12:00", ["03-29 03:00+0200", "03-29 02:30+0200"]),
        ("*/30 * * * *", BERLIN, "2026-03-29T01:15", ["03-29 01:30+0100", "03-29 03:00+0200", "03-29 03:30+0200"]),
        ("0 0-23 * * *", BERLIN, "2026-03-29T00:30", ["03-29 01:00+0100", "03-29 03:00+0200", "03-29 04:00+0200"]),
        ("*/20 2 * * *", BERLIN, "2026-03-28T12:00", ["03-30 02:00+0200", "03-30 02:20+0200"]),
        # 25 October 2026: 02:00 to 03:00 comes twice.
        ("30 2 * * *", BERLIN, "2026-10-24T12:00", ["10-25 02:30+0200", "10-26 02:30+0100"]),
        ("0,30 2 * * *", BERLIN, "2026-10-24T12:00", ["10-25 02:00+0200", "10-25 02:30+0200", "10-26 02:00+0100"]),
        (
            "*/30 * * * *", BERLIN, "2026-10-25T01:45",
            ["10-25 02:00+0200", "10-25 02:30+0200", "10-25 02:00+0100", "10-25 02:30+0100", "10-25 03:00+0100"],
        ),
        (
            "0,30 0-23 * * *", BERLIN, "2026-10-25T01:45",
            ["10-25 02:00+0200", "10-25 02:30+0200", "10-25 02:00+0100", "10-25 02:30+0100", "10-25 03:00+0100"],
        ),
        (
            "*/30 2 * * *", BERLIN, "2026-10-24T12:00",
            ["10-25 02:00+0200", "10-25 02:30+0200", "10-25 02:00+0100", "10-25 02:30+0100", "10-26 02:00+0100"],
        ),
        ("@hourly", BERLIN, "2026-10-25T01:45", ["10-25 02:00+0200", "10-25 02:00+0100", "10-25 03:00+0100"]),
        # America/New_York, 8 March and 1 November 2026.
        ("15 2 * * *", YORK, "2026-03-07T12:00", ["03-08 03:00-0400", "03-09 02:15-0400"]),
        ("30 1 * * *", YORK, "2026-10-31T12:00", ["11-01 01:30-0400", "11-02 01:30-0500"]),
        ("*/30 * * * *", YORK, "2026-11-01T00:45", ["11-01 01:00-0400", "11-01 01:30-0400", "11-01 01:00-0500"]),
        # Australia/Lord_Howe changes by 30 minutes: 4 October 02:00 to 02:30, 5 April 2026 back from 02:00 to 01:30.
        ("15 2 * * *", HOWE, "2026-10-03T12:00", ["10-04 02:30+1100", "10-05 02:15+1100"]),
        ("45 2 * * *", HOWE, "2026-10-03T12:00", ["10-04 02:45+1100", "10-05 02:45+1100"]),
        ("45 1 * * *", HOWE, "2026-04-04T12:00", ["04-05 01:45+1100", "04-06 01:45+1030"]),
        (
            "*/15 * * * *", HOWE, "2026-04-05T01:20",
            ["04-05 01:30+1100", "04-05 01:45+1100", "04-05 01:30+1030", "04-05 01:45+1030", "04-05 02:00+1030"],
        ),
        # Asia/Kathmandu is 5 h 45 min ahead.
        ("0 0 29 2 *", NEPAL, "2026-01-01T00:00", ["02-29 00:00+0545", "02-29 00:00+0545"]),
        ("*/45 * * * *", NEPAL, "2026-01-01T00:00", ["01-01 00:45+0545", "01-01 01:00+0545", "01-01 01:45+0545"]),
    ],
)  # fmt: skip
def test_the_days_on_which_clocks_are_changed(expression: str, zone: str, start: str, expected: list[str]) -> None:
    assert walls(expression, zone, start, len(expected)) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("0 0 29 2 *", ["2028-02-29", "2032-02-29", "2036-02-29"]),
        ("0 0 L * *", ["2026-01-31", "2026-02-28", "2026-03-31"]),
        ("0 0 LW * *", ["2026-01-30", "2026-02-27", "2026-03-31"]),
        ("0 0 * * 5#5", ["2026-01-30", "2026-05-29", "2026-07-31"]),
        ("0 0 * * MON#1", ["2026-01-05", "2026-02-02", "2026-03-02"]),
        ("0 0 * * 5L", ["2026-01-30", "2026-02-27", "2026-03-27"]),
        ("0 0 13 * FRI", ["2026-01-02", "2026-01-09", "2026-01-13"]),
        ("0 0 1 JAN,JUL *", ["2026-07-01", "2027-01-01", "2027-07-01"]),
        ("0 0 * * 7", ["2026-01-04", "2026-01-11", "2026-01-18"]),
        ("@weekly", ["2026-01-04", "2026-01-11", "2026-01-18"]),
        ("@Monthly", ["2026-02-01", "2026-03-01", "2026-04-01"]),
        ("@yearly", ["2027-01-01", "2028-01-01", "2029-01-01"]),
    ],
)
def test_days(expression: str, expected: list[str]) -> None:
    found = upcoming(parse(expression), datetime(2026, 1, 1, 0, 0, 30, tzinfo=UTC), 3)
    assert [at.date().isoformat() for at in found] == expected


def test_a_line_that_never_comes_has_no_times() -> None:
    assert upcoming(parse("* * */31 2 5#5", BERLIN), datetime(2026, 1, 1, tzinfo=UTC), 1) == []
    assert upcoming(parse("0 0 */31 2 5#5", BERLIN), datetime(2026, 1, 1, tzinfo=UTC), 1) == []


def test_an_interval_needs_no_memory() -> None:
    every = parse("@every 1h30m", BERLIN)
    assert every == Every(timedelta(minutes=90))
    found = upcoming(every, datetime(2026, 10, 25, 0, 10, tzinfo=UTC), 3)
    assert [later - earlier for earlier, later in itertools.pairwise(found)] == [timedelta(minutes=90)] * 2
    assert upcoming(every, found[0], 1) == found[1:2], "after, and not at"
    later = Every(timedelta(minutes=90), timedelta(seconds=20))
    assert upcoming(later, found[0], 1) == [found[0] + timedelta(seconds=20)]


@pytest.mark.parametrize(
    ("expression", "zone", "said"),
    [
        ("61 * * * *", "UTC", "minute is not understood"),
        ("* 24 * * *", "UTC", "hour is not understood"),
        ("0 0 31 2 *", "UTC", "day of month is not understood, or never comes"),
        ("0 0 * 13 *", "UTC", "month is not understood"),
        ("0 0 * * 5#6", "UTC", "day of week is not understood"),
        ("0 0 * *", "UTC", "has 4 fields, not five"),
        ("* * * * * *", "UTC", "has 6 fields, not five"),
        ("", "UTC", "it has 0 characters"),
        ("1" * 101, "UTC", "it has 101 characters"),
        ("@reboot", "UTC", "'@reboot' is not known"),
        ("@every 10ms", "UTC", "is no interval of a second or more"),
        ("@every soon", "UTC", "is no interval of a second or more"),
        ("0 0 * * *", "Mars/Olympus", "timezone: 'Mars/Olympus'"),
        ("0 0 * * *", "../etc/passwd", "timezone:"),
        ("0 0 * * *", "", "timezone:"),
    ],
)
def test_what_cannot_be_understood_is_refused_by_its_field(expression: str, zone: str, said: str) -> None:
    with pytest.raises(ScheduleError, match=re.escape(said)):
        parse(expression, zone)


def field(low: int, high: int, names: tuple[str, ...] = ()) -> st.SearchStrategy[str]:
    """Make a field of a cron line: a star, numbers, ranges, steps and lists of them."""
    number = st.integers(low, high)
    text = number.map(lambda value: names[value - low] if names else str(value))
    step = st.integers(1, high).map(lambda value: f"/{value}")
    span = st.tuples(number, number).map(lambda pair: f"{min(pair)}-{max(pair)}")
    term = st.one_of(text, span, st.tuples(span, step).map("".join), st.tuples(number.map(str), step).map("".join))
    stars = st.one_of(st.just("*"), step.map(lambda value: f"*{value}"))
    return st.one_of(stars, st.lists(term, min_size=1, max_size=3).map(",".join))


DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
LINES = st.tuples(
    field(0, 59),
    st.one_of(field(0, 23), st.just("0-23"), st.sampled_from(["1", "2", "2,3", "1-3", "0,1"])),
    st.one_of(st.just("*"), field(1, 28), st.sampled_from(["L", "LW", "29", "31"])),
    st.one_of(st.just("*"), field(1, 12, MONTHS)),
    st.one_of(st.just("*"), field(0, 6, DAYS), st.sampled_from(["1#2", "SUN#1", "0L", "5L", "7"])),
).map(" ".join)
ZONES = st.sampled_from(
    [BERLIN, YORK, HOWE, NEPAL, "UTC", "Africa/Cairo", "America/St_Johns", "Pacific/Chatham", "Asia/Beirut"]
)
#: Around the nights on which clocks are changed somewhere, and anywhen.
STARTS = st.one_of(
    st.sampled_from(
        [datetime(2026, month, day, tzinfo=UTC) for month, day in
         ((3, 7), (3, 28), (4, 4), (4, 23), (9, 26), (10, 3), (10, 24), (10, 29), (10, 31))]
    ),
    st.integers(0, 2_000).map(lambda days: datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=days)),
)  # fmt: skip


@settings(max_examples=150)
@given(LINES, ZONES, STARTS, st.integers(0, 2_880))
@example("30 2 * * *", BERLIN, datetime(2026, 10, 25, tzinfo=UTC), 70)
@example("* */2 * * *", HOWE, datetime(2026, 4, 4, tzinfo=UTC), 0)
@example("* 2 25 10 *", BERLIN, datetime(2026, 10, 24, tzinfo=UTC), 0)
@example("59 23 * * *", "Africa/Cairo", datetime(2026, 4, 23, tzinfo=UTC), 0)
@example("0 0 * * *", "Africa/Cairo", datetime(2026, 4, 23, tzinfo=UTC), 0)
@example("0 0 24 4 *", "Africa/Cairo", datetime(2026, 4, 23, tzinfo=UTC), 0)
def test_whatever_the_line_and_the_zone_it_fires_as_a_look_at_every_minute_says(
    line: str, zone: str, start: datetime, minutes: int
) -> None:
    after = start + timedelta(minutes=minutes)
    until = after + timedelta(days=2)
    try:
        recurrence = parse(line, zone)
    except ScheduleError:
        assert minute_by_minute.fires(line, zone, after, after + timedelta(days=1)) == []
        return
    found = []
    for at in recurrence.after(after):
        if at > until:
            break
        found.append(at)
    assert found == minute_by_minute.fires(line, zone, after, until)
