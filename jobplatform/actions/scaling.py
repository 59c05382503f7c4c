"""How many workers there were to be, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NamedTuple

from jobplatform.actions.action import action
from jobplatform.actions.actor import Actor
from jobplatform.actions.desk import Desk
from jobplatform.actions.permission import Permission
from jobplatform.errors import DecisionNotFound
from jobplatform.store import scaling as rows
from jobplatform.store.shapes.fleet import ScaleDecision

Row = Mapping[str, Any]

#: Above all numbers of decisions.
NO_ID = 2**62


class Page(NamedTuple):
    """A page of decisions, and the number before which the next one begins; None when there is none."""

    rows: Sequence[Annotated[Row, ScaleDecision]]
    next: int | None


@action("scaling.list", Permission.WORKERS_READ)
def list_decisions(
    desk: Desk, actor: Actor, limit: int, pool: str | None = None, every: bool = False, before: int = NO_ID
) -> Page:
    """List decisions on the number of workers, the newest first.

    :param every: also those that left everything as it was.
    """
    with desk.look() as session:
        found = rows.decisions(session, limit + 1, pool, every, before)
    return Page(found[:limit], found[limit - 1]["decision_id"] if len(found) > limit else None)


@action("scaling.show", Permission.WORKERS_READ)
def show_decision(desk: Desk, actor: Actor, decision_id: int) -> Annotated[Row, ScaleDecision]:
    """Show a decision: why, what was foretold of each queue, and what the rate rule would have wanted.

    :raises DecisionNotFound: when there is none of the number.
    """
    with desk.look() as session:
        row = rows.show(session, decision_id)
    if row is None:
        raise DecisionNotFound(
            f"decision {decision_id}: there is none of this number; see: jobplatform scale list --all"
        )
    return row


def sentence(row: Row) -> str:
    """Tell a decision as a sentence."""
    return f"{row['reason'].rstrip('.')}; {row['counterfactual']}."
