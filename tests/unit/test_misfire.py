"""Times that nobody was there to fire at."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobplatform.jobs.schedule import Misfire
from jobplatform.recurrence import between, latest, parse
from jobplatform.scheduling.misfire import MOST, Plan, Rule, plan

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
HOURLY = parse("@hourly")


def at(*hours: float) -> tuple[datetime, ...]:
    return tuple(NOON + timedelta(hours=hour) for hour in hours)


def test_what_is_punctual_fires_whatever_the_policy_says() -> None:
    for policy in Misfire:
        assert plan(HOURLY, NOON, NOON + timedelta(seconds=30), Rule(policy)) == Plan(at(0), *at(1))


@pytest.mark.parametrize(
    ("rule", "hours"),
    [
        (Rule(Misfire.SKIP), ()),
        (Rule(Misfire.ONCE), (5,)),
        (Rule(Misfire.ALL), (0, 1, 2, 3, 4, 5)),
        (Rule(Misfire.WINDOW, window=timedelta(hours=3)), (3, 4, 5)),
        (Rule(Misfire.WINDOW, window=timedelta(hours=3), cap=2), (4, 5)),
        (Rule(Misfire.WINDOW, window=timedelta(days=9)), (0, 1, 2, 3, 4, 5)),
        (Rule(Misfire.WINDOW, cap=0), ()),
        (Rule(Misfire.SKIP, grace=timedelta(hours=1)), (5,)),
        (Rule(Misfire.ONCE, grace=timedelta(hours=1)), (4, 5)),
    ],
)
def test_after_five_and_a_half_hours_away(rule: Rule, hours: tuple[int, ...]) -> None:
    assert plan(HOURLY, NOON, NOON + timedelta(hours=5.5), rule) == Plan(at(*hours), *at(6))


def test_what_is_missed_and_what_is_punctual_fire_together() -> None:
    now = NOON + timedelta(hours=5, seconds=30)
    assert plan(HOURLY, NOON, now, Rule(Misfire.SKIP)).fires == at(5)
    assert plan(HOURLY, NOON, now, Rule(Misfire.ONCE)).fires == at(4, 5)
    assert plan(HOURLY, NOON, now, Rule(Misfire.ALL)).fires == at(0, 1, 2, 3, 4, 5)


def test_more_than_a_plan_holds_is_planned_next() -> None:
    every, rule = parse("@every 1s"), Rule(Misfire.ALL)
    now = NOON + timedelta(seconds=2.5 * MOST)
    due: datetime | None = NOON
    fires: list[datetime] = []
    while due is not None and due <= now:
        planned = plan(every, due, now, rule)
        assert len(planned.fires) <= MOST
        fires += planned.fires
        due = planned.next_run
    assert fires == [NOON + timedelta(seconds=number) for number in range(int(2.5 * MOST) + 1)]
    assert due == NOON + timedelta(seconds=2.5 * MOST + 1)


@given(
    st.sampled_from(["@every 7s", "*/5 * * * *", "30 2 * * *", "0 0 29 2 *", "0 9 * * 1-5"]),
    st.integers(0, 400 * 86_400),
    st.integers(0, 86_400),
    st.integers(1, 20),
)
def test_the_latest_are_the_last_of_all(expression: str, before: int, span: int, count: int) -> None:
    recurrence = parse(expression, "Europe/Berlin")
    end = NOON - timedelta(seconds=before)
    begin = end - timedelta(seconds=span)
    assert latest(recurrence, begin, end, count) == between(recurrence, begin, end, 100_000)[-count:]
