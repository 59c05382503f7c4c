"""When a job begins and ends, from what is before it; and the time limits that suit how long jobs take."""

from __future__ import annotations

import heapq

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobplatform.jobs import eta
from jobplatform.jobs.estimates import Estimate, Estimates, key_of
from jobplatform.jobs.eta import Ahead, Eta, Node, Slots, Takes
from jobplatform.jobs.limit_suggestion import suggest

_TAKES = Takes(50.0, 60.0, 120.0)


def test_a_job_begins_when_the_work_before_it_is_done() -> None:
    slots = Slots(4, [10.0, 20.0, 30.0, 40.0])
    found = eta.waiting(_TAKES, Ahead(412, 412, 1_000.0), slots)
    assert found.starts_in == pytest.approx((1_000.0 + 100.0) / 4)
    assert found.done_in == pytest.approx(275.0 + 60.0)
    assert found.words() == "starts in about 5 min, done in about 6 min; behind 412 jobs"


def test_a_free_slot_is_taken_at_once() -> None:
    assert eta.waiting(_TAKES, Ahead(), Slots(2, [30.0])).words() == "starts now, done in about 60 s"
    assert eta.wait(Ahead(), Slots(2, [30.0, 20.0])) == 20.0
    # Two of the slots do what waits before the third becomes free.
    assert eta.wait(Ahead(1, 1, 10.0), Slots(3, [100.0])) == 5.0


def test_more_runs_than_there_are_slots_are_awaited() -> None:
    assert eta.wait(Ahead(), Slots(1, [5.0, 7.0])) == 12.0


def test_what_was_not_foretold_is_taken_to_be_like_the_rest_or_nobody_can_tell() -> None:
    assert eta.wait(Ahead(10, 5, 50.0), Slots(1)) == 100.0
    assert eta.wait(Ahead(10, 0, 0.0), Slots(1)) is None
    assert eta.wait(Ahead(), Slots(2, [None, 8.0])) == 8.0
    assert eta.wait(Ahead(), Slots(1, [None])) is None
    assert (
        eta.waiting(_TAKES, Ahead(3, 3, 9.0), Slots(0)).words() == "no worker takes jobs of its queue; 3 wait before it"
    )
    assert eta.waiting(None, Ahead(), Slots(1)).words() == "starts now, how long it takes was not foretold"


@given(
    st.lists(st.floats(0.0, 100.0), max_size=12),
    st.integers(1, 6),
    st.integers(0, 2_000),
)
def test_the_wait_is_that_of_a_queue_of_small_jobs(left: list[float], count: int, jobs: int) -> None:
    size = 0.01
    free = [0.0] * max(0, count - len(left)) + sorted(left)[:count]
    heapq.heapify(free)
    for seconds in sorted(left)[count:]:
        heapq.heapreplace(free, free[0] + seconds)
    for _ in range(jobs):
        heapq.heapreplace(free, free[0] + size)
    found = eta.wait(Ahead(jobs, jobs, jobs * size), Slots(count, left))
    assert found == pytest.approx(free[0], abs=2 * size)


@given(st.floats(0.1, 100), st.floats(1.0, 10.0), st.floats(1.0, 10.0), st.floats(0.0, 1e4))
def test_what_is_left_of_a_run_is_never_less_than_nothing(p10: float, more: float, most: float, passed: float) -> None:
    takes = Takes(p10, p10 * more, p10 * more * most)
    assert takes.left(passed) >= 0.0
    assert takes.left(0.0) > 0.0


def test_a_run_says_when_it_takes_longer_than_most() -> None:
    assert eta.running(_TAKES, 10.0).words() == "done in about 65 s"
    assert eta.running(_TAKES, 300.0).words().endswith("it has run for 5 min, longer than 9 of 10 do")
    assert eta.running(None, 300.0).words() == "it has run for 5 min; how long it takes was not foretold"


def test_a_workflow_ends_with_its_longest_path() -> None:
    nodes = {
        "a": Node((), 10.0, None),
        "b": Node(("a",), None, 50.0),
        "c": Node(("a",), None, 5.0),
        "d": Node(("b", "c"), None, 20.0),
    }
    assert eta.workflow(nodes) == 80.0
    assert eta.workflow({**nodes, "c": Node(("a",), None, None)}) is None
    assert eta.workflow({}) == 0.0


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1 s"), (89, "89 s"), (240, "4 min"), (5_000, "83 min"), (7_200, "2 h"), (400_000, "5 days")],
)
def test_times_are_said_as_people_say_them(seconds: float, words: str) -> None:
    assert eta.spoken(seconds) == words


def test_what_is_known_is_asked_for_now_and_then_and_kept_when_nobody_can_tell() -> None:
    asked = []
    answers = [{"": Estimate(1, 2, 3, "rule, 9 runs"), "a=1": Estimate(4, 5, 6, "rule, 3 runs")}, None]

    def ask(job_type: str) -> dict[str, Estimate] | None:
        asked.append(job_type)
        return answers[min(len(asked), 2) - 1]

    known = Estimates(ask)
    found = known.of("t", "a=1", 1_000.0)
    assert found is not None
    assert found.p50 == 5
    assert known.of("t", "a=2", 1_010.0) == (1, 2, 3, "rule, 9 runs")
    assert len(asked) == 1
    assert known.of("t", None, 1_031.0) == (1, 2, 3, "rule, 9 runs")
    assert len(asked) == 2


def test_a_key_tells_runs_apart_and_is_never_too_long() -> None:
    assert key_of((), {"a": 1}) is None
    assert key_of(("a", "b"), {"a": 1, "c": 2}) == "a=1 b=null"
    long = [key_of(("a",), {"a": "x" * 300 + end}) for end in "12"]
    assert len({*long}) == 2
    assert all(key is not None and len(key) <= 200 for key in long)


def test_limits_are_suggested_from_what_the_longest_took() -> None:
    assert suggest(10.0, 12.0, 19) is None
    found = suggest(10.0, 90.0, 400)
    assert found is not None
    assert (found.timeout, found.soft_timeout) == (150.0, 135.0)
    assert found.reason == "the longest of 400 runs took 90 s, one in ten more than 10 s"


def test_nothing_is_told_of_what_waits_for_something_else() -> None:
    assert Eta(None, None, 0, "it is paused").words() == "it is paused"
    assert Eta(None, None).words() == "nobody can tell"
