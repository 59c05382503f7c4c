"""The states of a job, the transitions between them, and the order in which they may be applied."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class State(StrEnum):
    """Where a job stands."""

    BLOCKED = "BLOCKED"
    SCHEDULED = "SCHEDULED"
    PENDING = "PENDING"
    PROCESSING = "PROCESSING"
    RETRYING = "RETRYING"
    PAUSED = "PAUSED"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


WAITING = frozenset({State.BLOCKED, State.SCHEDULED, State.PENDING, State.PAUSED})
FINAL = frozenset({State.COMPLETED, State.FAILED, State.CANCELLED})
UNFINISHED = frozenset(State) - FINAL

#: What each state may become; the verb names the transition.
TRANSITIONS: Mapping[State, Mapping[State, str]] = {
    State.BLOCKED: {
        State.PENDING: "release",
        State.SCHEDULED: "release",
        State.CANCELLED: "cancel",
        State.PAUSED: "pause",
    },
    State.SCHEDULED: {State.PENDING: "dispatch", State.CANCELLED: "cancel", State.PAUSED: "pause"},
    State.PENDING: {
        State.PROCESSING: "start",
        State.COMPLETED: "complete",
        State.RETRYING: "retry",
        State.FAILED: "fail",
        State.CANCELLED: "cancel",
        State.PAUSED: "pause",
    },
    State.PROCESSING: {
        State.COMPLETED: "complete",
        State.RETRYING: "retry",
        State.FAILED: "fail",
        State.CANCELLED: "cancel",
        State.PENDING: "interrupt",
    },
    State.RETRYING: {State.PENDING: "dispatch", State.CANCELLED: "cancel", State.PAUSED: "pause"},
    State.PAUSED: {State.PENDING: "resume", State.SCHEDULED: "resume", State.CANCELLED: "cancel"},
    State.FAILED: {State.PENDING: "replay"},
    State.CANCELLED: {State.PENDING: "replay"},
    State.COMPLETED: {},
}

#: Within one attempt a transition is applied only when its rank is above the row's.
RANK: Mapping[State, int] = {
    State.BLOCKED: 0,
    State.SCHEDULED: 0,
    State.PENDING: 0,
    State.PAUSED: 1,
    State.PROCESSING: 2,
    State.RETRYING: 3,
    State.COMPLETED: 4,
    State.FAILED: 4,
    State.CANCELLED: 4,
}


def is_ahead(attempt: int, state: State, row_attempt: int, row_state: State) -> bool:
    """Tell whether a transition is ahead of a row, so that applying it never makes the row lie backwards.

    :param attempt: the transition's attempt number, from 1.
    :param row_attempt: the attempt number that the row shows.
    """
    return (attempt, RANK[state]) > (row_attempt, RANK[row_state])


def rank_sql(column: str) -> str:
    """Build the SQL expression that gives the rank of a status column.

    :param column: a column name written by us, never a user's value.
    """
    whens = " ".join(f"when '{state}' then {rank}" for state, rank in RANK.items() if rank)
    return f"(case {column} {whens} else 0 end)"


def states_sql(states: frozenset[State]) -> str:
    """Build the SQL list of some states, for ``status in (...)``."""
    return "(" + ", ".join(f"'{state}'" for state in sorted(states)) + ")"


def diagram() -> str:
    """Draw the state machine as a Mermaid diagram."""
    lines = [
        "stateDiagram-v2",
        "    [*] --> PENDING: submit",
        "    [*] --> SCHEDULED: submit (eta)",
        "    [*] --> BLOCKED: submit (after)",
    ]
    for origin, targets in TRANSITIONS.items():
        lines += [f"    {origin} --> {target}: {verb}" for target, verb in targets.items()]
    lines += [f"    {state} --> [*]" for state in sorted(FINAL)]
    return "\n".join(lines) + "\n"


PAGE = """# States of a job

Generated from `jobplatform/states.py` by `python -m jobplatform.states`; a test compares the two.
A transition is applied only if it is ahead of the row by (attempt, rank), so replaying the journal changes nothing.

```mermaid
{diagram}```

| state | rank within an attempt |
|---|---|
{ranks}
"""


def page() -> str:
    """Write the documentation page of the state machine."""
    return PAGE.format(diagram=diagram(), ranks="\n".join(f"| {state} | {rank} |" for state, rank in RANK.items()))


if __name__ == "__main__":
    print(page(), end="")
