"""How many workers there should be, decided from values."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobplatform.learning.load import Outlook
from jobplatform.workers.scaling import Announced, Bounds, Level, Pool, decide, level_for

BOUNDS = Bounds(least=2, most=5, slots=2, cooldown=60.0, slo=30.0)
jobs = st.floats(0, 40)


def outlook(later: float, kept: float, rule: float = 3.0, usual: float = 1.0, by: str = "model 7") -> Outlook:
    return Outlook(later, max(later, kept), usual, rule, by)


def pool(had: int, running: int = 0, waiting: int = 0, oldest: float = 0.0, since: float = inf) -> Pool:
    return Pool(had, running, waiting, oldest, since)


def test_what_will_be_needed_is_asked_for_ahead_of_it() -> None:
    found = decide(BOUNDS, outlook(7, 8), pool(2, running=3), 0.7)
    assert (found.wanted, found.level, found.by) == (4, Level.CRITICAL, "model 7")
    assert found.reason.startswith("2 workers more: up to 7 jobs at once are expected")
    assert found.counterfactual == "the rate rule would have wanted 2"


def test_what_is_not_needed_until_then_is_let_go_unless_it_was_asked_for_lately() -> None:
    assert decide(BOUNDS, outlook(1, 3), pool(5, since=61.0), 0.0).wanted == 2
    held = decide(BOUNDS, outlook(1, 3), pool(5, since=59.0), 0.0)
    assert held.wanted == 5
    assert "59 s ago" in held.reason


def test_a_forecast_that_wavers_between_the_two_moves_nothing() -> None:
    assert [decide(BOUNDS, outlook(later, 9), pool(4), 0.0).wanted for later in (5, 6, 7, 8)] == [4, 4, 4, 4]


def test_an_announced_load_counts_on_top_of_the_usual() -> None:
    burst = Announced(30, 10.0, "schedule nightly fires at 03:00:00 and brought 30 jobs before")
    # A fourth job of a place would begin at the very end of the time, if all run exactly as long as before.
    assert burst.places(30.0) == 10.0
    found = decide(Bounds(2, 20, 2), outlook(1, 1, usual=2), pool(2), 0.0, [burst])
    assert found.wanted == 6
    assert "nightly" in found.reason


def test_the_rule_says_why_it_decides() -> None:
    said = Outlook(6, 6, 2, 6, "rule", "No model is in force: the rate rule decides.")
    found = decide(BOUNDS, said, pool(2), 0.1)
    assert (found.wanted, found.counterfactual) == (3, "the rate rule decided")
    assert found.reason.endswith("the rate rule decides.")


def test_more_than_is_allowed_is_said() -> None:
    found = decide(BOUNDS, outlook(40, 40), pool(5), 0.9)
    assert (found.wanted, "more than 5 are not allowed" in found.reason) == (5, True)


@pytest.mark.parametrize(
    ("oldest", "probability", "level"),
    [(0, 0.1, "normal"), (0, 0.3, "warning"), (0, 0.7, "critical"), (31, 0.0, "critical")],
)
def test_levels(oldest: float, probability: float, level: str) -> None:
    assert decide(BOUNDS, outlook(2, 2), pool(2, oldest=oldest), probability).level == level


@given(later=jobs, kept=jobs, rule=jobs, had=st.integers(0, 9), running=st.integers(0, 30), since=st.floats(0, 200))
def test_bounds_hold_and_no_place_is_taken_from_a_running_job(
    later: float, kept: float, rule: float, had: int, running: int, since: float
) -> None:
    found = decide(BOUNDS, outlook(later, kept, rule), pool(had, running, since=since), 0.0)
    assert BOUNDS.least <= found.wanted <= BOUNDS.most
    if found.wanted < min(had, BOUNDS.most):
        assert found.wanted * BOUNDS.slots >= running
        assert since >= BOUNDS.cooldown
    assert found.wanted >= BOUNDS.workers(later)


def test_the_dearer_a_late_job_and_the_shorter_the_larger_the_reserve() -> None:
    levels = [level_for(1.0, seconds) for seconds in (1.0, 180.0, 360.0, 7200.0)]
    assert levels == [0.98, 0.95, 0.9, 0.5]
    assert level_for(2.0, 360.0) == 0.95
    assert level_for(0.0, 1.0) == 0.5
