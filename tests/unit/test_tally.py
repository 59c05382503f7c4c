"""What the counts of a batch say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobplatform.records import filled
from jobplatform.tally import BatchState, Change, Event, Tally, progress_of

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def tally(total: int = 0, completed: int = 0, failed: int = 0, cancelled: int = 0, closed: bool = True) -> Tally:
    closed_at = NOW if closed else None
    return Tally("b", "import", NOW, total, completed, failed, cancelled, closed_at=closed_at)


@pytest.mark.parametrize(
    ("counted", "state", "percent", "due"),
    [
        (tally(closed=False), BatchState.OPEN, 0.0, []),
        (tally(), BatchState.FINISHED, 100.0, ["success", "complete"]),
        (tally(4, 1, closed=False), BatchState.OPEN, 25.0, []),
        (tally(4, 4, closed=False), BatchState.OPEN, 100.0, []),
        (tally(4, 3), BatchState.CLOSED, 75.0, []),
        (tally(4, 4), BatchState.FINISHED, 100.0, ["success", "complete"]),
        (tally(4, 1, 1), BatchState.CLOSED, 50.0, ["failure"]),
        (tally(4, 3, 1), BatchState.FINISHED, 100.0, ["failure", "complete", "exhausted"]),
        (tally(4, 3, 0, 1), BatchState.FINISHED, 100.0, ["complete"]),
        (tally(4, 0, 4, closed=False), BatchState.OPEN, 100.0, ["failure"]),
    ],
)
def test_state_percent_and_events(counted: Tally, state: BatchState, percent: float, due: list[str]) -> None:
    assert (counted.state, counted.percent, counted.due()) == (state, percent, due)
    assert counted.noted([Event(name) for name in due], NOW).due() == []


def test_a_failure_that_runs_once_more_was_one() -> None:
    assert tally(4, 1).due(failing=True) == [Event.FAILURE]


def test_what_was_replayed_brings_the_success_alone() -> None:
    over = tally(2, 1, 1)
    noted = over.noted(over.due(), NOW)
    again = noted.changed(Change(failed=-1), NOW)
    assert (again.state, again.due()) == (BatchState.CLOSED, [])
    assert again.changed(Change(completed=1), NOW).due() == [Event.SUCCESS]


@given(st.lists(st.integers(1, 50), min_size=2, max_size=40))
def test_the_eta_is_that_of_a_steady_rate(steps: list[int]) -> None:
    """At two jobs a second a thousand jobs take five hundred seconds, however their ends are cut into changes."""
    counted, now = tally(10**6).changed(Change(completed=1), NOW), NOW
    for count in steps:
        now += timedelta(seconds=count / 2)
        counted = counted.changed(Change(completed=count), now)
    left = counted.total - counted.ended
    assert counted.eta(now) == pytest.approx(left / 2)


def test_the_eta_forgets_what_was_long_ago_and_grows_when_nothing_ends() -> None:
    counted, now = tally(100_000).changed(Change(completed=1), NOW), NOW
    for _ in range(60):
        now += timedelta(minutes=1)
        counted = counted.changed(Change(completed=1), now)
    for _ in range(120):
        now += timedelta(seconds=1)
        counted = counted.changed(Change(completed=100), now)
    eta = counted.eta(now)
    assert eta is not None
    assert eta == pytest.approx((counted.total - counted.ended) / 100, rel=0.05)
    later = counted.eta(now + timedelta(minutes=1))
    assert later is not None
    assert later > 5 * eta


def test_nobody_can_tell_how_long_it_takes_before_two_changes() -> None:
    assert tally(4).eta(NOW) is None
    assert tally(4, closed=False).changed(Change(completed=1), NOW).eta(NOW) is None
    assert tally(4, 4).eta(NOW) == 0.0


def test_progress_has_what_runs_and_what_waits() -> None:
    progress = progress_of(tally(10, 2, 1), 3, NOW)
    assert (progress.running, progress.waiting, progress.percent) == (3, 4, 30.0)


def test_texts_are_filled() -> None:
    values = {"{name}": "x", "{total}": 3, "{batch}": {"total": 3}}
    assert filled({"a": ["{batch}", "{total}", "{name}: {total}", 7]}, values) == {"a": [{"total": 3}, 3, "x: 3", 7]}
