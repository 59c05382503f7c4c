"""What can be done with breakers: see what is held as others fail of the same cause, and say otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from jobplatform.actions.action import action
from jobplatform.actions.actor import Actor
from jobplatform.actions.desk import Desk
from jobplatform.actions.permission import Permission
from jobplatform.store import breakers as rows
from jobplatform.store.shapes.breaker import Breaker


@action("breakers.list", Permission.QUEUES_READ)
def list_breakers(desk: Desk, actor: Actor, every: bool = False) -> list[Annotated[dict[str, Any], Breaker]]:
    """List the breakers that hold jobs, or that somebody forced, and how many jobs each holds.

    :param every: those that are closed as well.
    """
    with desk.look() as session:
        found = [dict(row) for row in rows.list_breakers(session, every)]
        types = {name: row["cause"] for row in found for name in row["job_types"]}
        counts = rows.held(session, desk.now(), types)
    return [{**row, "held": counts[row["cause"]]} for row in found]


@action("breakers.force", Permission.QUEUES_STEER, writes=True)
def force(desk: Desk, actor: Actor, causes: Sequence[str], forced: str | None) -> None:
    """Force breakers open or closed, or let them decide by themselves again (None)."""
    with desk.change(actor, "breakers.force", {"causes": list(causes), "forced": forced}) as change:
        for cause in causes:
            rows.force(change.transaction, cause, forced, actor.name, f"{actor.name} said so")
