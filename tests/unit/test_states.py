"""The state machine: its diagram, its order, and the SQL built from it."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from jobplatform.states import FINAL, RANK, TRANSITIONS, State, diagram, is_ahead, rank_sql, states_sql

states = st.sampled_from(list(State))
attempts = st.integers(1, 5)


def test_every_state_has_transitions_and_a_rank() -> None:
    assert set(TRANSITIONS) == set(State) == set(RANK)


def test_final_states_are_left_only_by_a_replay() -> None:
    assert {verb for state in FINAL for verb in TRANSITIONS[state].values()} == {"replay"}


def test_every_unfinished_state_can_end() -> None:
    for state in set(State) - FINAL:
        reached, frontier = set(), {state}
        while frontier:
            reached |= frontier
            frontier = {target for origin in frontier for target in TRANSITIONS[origin]} - reached
        assert reached & FINAL, state


@given(attempts, states, attempts, states)
def test_nothing_is_ahead_both_ways(attempt: int, state: State, row_attempt: int, row_state: State) -> None:
    forth = is_ahead(attempt, state, row_attempt, row_state)
    back = is_ahead(row_attempt, row_state, attempt, state)
    assert not (forth and back)
    assert forth or back or (attempt, RANK[state]) == (row_attempt, RANK[row_state])


def test_the_sql_names_every_rank() -> None:
    text = rank_sql("status")
    assert all(f"when '{state}' then {rank}" in text for state, rank in RANK.items() if rank)
    assert states_sql(FINAL) == "('CANCELLED', 'COMPLETED', 'FAILED')"


def test_the_documented_diagram_is_the_generated_one() -> None:
    page = Path(__file__).parents[2] / "docs" / "state-machine.md"
    assert diagram() in page.read_text(), "run: python -m jobplatform.states > docs/state-machine.md"
