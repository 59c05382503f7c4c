"""Who is replaced, and in which steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobplatform.workers.fleet import Member, Stage
from jobplatform.workers.replacement import (
    Case,
    Course,
    Lately,
    Patience,
    Step,
    choose,
    is_deadlocked,
    next_step,
    sentence,
    standstill,
)

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
PATIENCE = Patience(start=60, hear=15, leave=40)


def case(name: str, verdict: str = "failing", confidence: float = 0.95, in_a_row: int = 2, rule: str = "") -> Case:
    return Case(f"node of {name}", name, verdict, confidence, "its memory grows", rule, in_a_row)


@pytest.mark.parametrize(
    ("said", "failing"),
    [
        (case("a", in_a_row=1), False),
        (case("a", "degraded", 0.9), False),
        (case("a", "healthy", 1.0), False),
        (case("a", confidence=0.8), False),
        (case("a", confidence=0.81), True),
        (case("a", in_a_row=3), True),
    ],
)
def test_two_sure_verdicts_in_a_row_are_needed(said: Case, failing: bool) -> None:
    assert said.is_failing is failing


def test_the_one_that_is_failing_most_surely_is_chosen() -> None:
    found = choose([case("a", confidence=0.81), case("b"), case("c", confidence=0.97, in_a_row=1)], 3, Lately())
    assert found.case is not None
    assert found.case.name == "b"
    assert "b is failing (confidence 0.95, 2 verdicts in a row): its memory grows" in found.reason


def test_the_last_worker_stays() -> None:
    found = choose([case("a")], 1, Lately())
    assert found.case is None
    assert "last worker" in found.reason


def test_one_that_does_nothing_any_more_is_replaced_first_though_it_is_the_last_or_soon_after_another() -> None:
    standing = case("a", confidence=0.85, rule="event loop")
    found = choose([case("b", confidence=0.97), standing], 1, Lately(2, NOW))
    assert found.case == standing
    # A job may let one after the other stand still.
    assert choose([standing], 3, Lately(3, NOW)).case is None
    assert choose([standing._replace(in_a_row=1)], 3, Lately()).case is None


def test_at_most_one_is_replaced_in_a_window() -> None:
    sure = [case("a")]
    assert choose(sure, 3, Lately(1, NOW)).case is None
    assert choose(sure, 3, Lately()).case is not None


@given(
    st.lists(st.tuples(st.sampled_from(["healthy", "degraded", "failing"]), st.floats(0, 1), st.integers(0, 3))),
    st.integers(0, 5),
)
def test_nobody_is_chosen_on_less(verdicts: Sequence[tuple[str, float, int]], working: int) -> None:
    cases = [case(f"w{place}", *each) for place, each in enumerate(verdicts)]
    found = choose(cases, working, Lately())
    enough = [each for each in cases if each.is_failing]
    assert (found.case is not None) == (bool(enough) and working > 1)
    assert found.reason


OLD = Member("w1@here", Stage.WORKING, 1, "node1", busy=2)
NEW = Member("w2@here", Stage.WORKING, 2, "node2")
BEGUN = Course(asked=1.0, successor=None, ready=False, drained=None)
SPAWNED = BEGUN._replace(successor=NEW.name)
READY = SPAWNED._replace(ready=True)
DRAINED = READY._replace(drained=5.0)


def step(course: Course, old: Member | None = OLD, new: Member | None = None, frozen: bool = False) -> Step:
    return next_step(course, old, new, PATIENCE, frozen, starts=True)


def test_the_old_worker_works_until_its_successor_does() -> None:
    assert step(BEGUN) is Step.SPAWN
    assert step(SPAWNED, new=replace(NEW, stage=Stage.STARTING)) is Step.WAIT
    assert step(SPAWNED, new=NEW) is Step.CORDON
    assert step(READY, new=NEW) is Step.WAIT
    assert step(READY, replace(OLD, stage=Stage.CORDONED), NEW) is Step.DRAIN
    assert step(DRAINED, replace(OLD, stage=Stage.LEAVING), NEW) is Step.WAIT
    assert step(DRAINED, None, NEW) is Step.REPLACED


def test_a_successor_that_does_not_start_ends_it_and_the_old_one_works_on() -> None:
    assert step(SPAWNED._replace(asked=61), new=replace(NEW, stage=Stage.STARTING)) is Step.FAILED
    assert step(SPAWNED._replace(asked=16), new=None) is Step.FAILED
    assert step(BEGUN._replace(asked=61)) is Step.FAILED


def test_one_that_dies_before_is_not_replaced_but_dead() -> None:
    assert step(BEGUN, None) is Step.DIED
    assert step(SPAWNED, None, NEW) is Step.DIED


def test_one_that_stands_still_is_killed_once_a_successor_was_started() -> None:
    assert step(BEGUN, frozen=True) is Step.SPAWN
    assert step(SPAWNED, new=replace(NEW, stage=Stage.STARTING), frozen=True) is Step.KILL


def test_one_that_does_not_leave_is_killed() -> None:
    assert step(DRAINED._replace(drained=41), replace(OLD, stage=Stage.LEAVING), NEW) is Step.KILL


def test_one_that_does_not_heed_what_it_is_asked_is_killed_where_that_can_be_done() -> None:
    late = READY._replace(asked=101)
    assert step(late, new=NEW) is Step.KILL
    assert next_step(late, OLD, None, PATIENCE, False, starts=False) is Step.FAILED


def test_where_the_home_starts_workers_the_old_one_only_has_to_leave() -> None:
    assert next_step(BEGUN, OLD, None, PATIENCE, False, starts=False) is Step.CORDON
    assert next_step(READY._replace(successor=None), None, None, PATIENCE, False, starts=False) is Step.REPLACED


@pytest.mark.parametrize(
    ("member", "why"),
    [
        (OLD, ""),
        (replace(OLD, silent=9), ""),
        (replace(OLD, silent=9, stopped=True), ""),
        (replace(OLD, silent=11, stopped=True), "stopped"),
        (replace(OLD, silent=16), "silent for 16 s"),
    ],
)
def test_what_stands_still(member: Member, why: str) -> None:
    found = standstill(member, beat=5, stale=15)
    assert (why in found) if why else (found == "")


def test_an_event_loop_that_does_not_turn_is_deadlocked_after_a_while() -> None:
    assert not is_deadlocked(replace(OLD, loop_wait=14), stale=15)
    assert is_deadlocked(replace(OLD, loop_wait=16), stale=15)


def test_a_row_can_be_read_as_a_sentence() -> None:
    row = {
        "asked_at": NOW, "asked_by": "fleet", "name": "worker1@here", "reason": "its memory grows",
        "successor": "worker4@here", "ready_at": NOW + timedelta(seconds=2), "drained_at": NOW + timedelta(seconds=3),
        "ended_at": NOW + timedelta(seconds=5), "outcome": "replaced",
    }  # fmt: skip
    assert sentence(row) == (
        "at 12:00:00 fleet asked for worker1@here to be replaced: its memory grows; worker4@here was started in its "
        "place and took jobs 2.0 s later; it was told to leave after 3.0 s; it was gone after 5.0 s"
    )
    assert sentence({**row, "successor": None, "drained_at": None, "ended_at": None}).endswith("it is under way")
