"""What can be done with limits: how much runs at once, how much begins in a time, and in which order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Annotated, Any, NamedTuple

from jobplatform.actions.action import action
from jobplatform.actions.actor import Actor
from jobplatform.actions.desk import Desk
from jobplatform.actions.permission import Permission
from jobplatform.errors import Forbidden
from jobplatform.limits import Limit
from jobplatform.store import limits as rows
from jobplatform.store.shapes import limit as shapes
from jobplatform.transport import census

Row = Mapping[str, Any]


class Limits(NamedTuple):
    """The limits with what is held of them, and the queues that are served in an order of their own."""

    limits: Sequence[Annotated[Row, shapes.Limit]]
    queues: Sequence[Annotated[Row, shapes.QueueOrder]]


@action("limits.list", Permission.LIMITS_READ)
def list_limits(desk: Desk, actor: Actor) -> Limits:
    """List the limits and what is held of them, and the queues that are served in an order of their own.

    Of queues and tenants, those in the actor's scope; other limits hold for all and are seen by all.
    """
    with desk.look() as session:
        found = [dict(row) for row in rows.list_limits(session) if _sees(actor, _queue_of(row["name"]))]
        orders = [dict(row) for row in rows.list_orders(session) if _sees(actor, row["queue"])]
        weights = [row for row in rows.list_weights(session) if actor.scope.holds(row["queue"], row["tenant"])]
    with closing(desk.redis()) as client:
        used, waiting = census.used_slots(client), census.blocked_lanes(client, [row["name"] for row in found])
    for row in found:
        row.update(used=used.get(row["name"], 0), waiting=waiting[row["name"]])
    for row in orders:
        row["weights"] = {each["tenant"]: each["weight"] for each in weights if each["queue"] == row["queue"]}
    return Limits(found, orders)


@action("limits.set", Permission.LIMITS_WRITE, writes=True)
def set_limit(desk: Desk, actor: Actor, limit: Limit) -> None:
    """Set a limit; what runs already counts, and is not stopped."""
    _admit(actor, "limits.set", _queue_of(limit.name))
    about = {"limit": limit.name, "slots": limit.slots, "rate": limit.rate, "burst": limit.burst}
    with desk.change(actor, "limits.set", about) as change:
        rows.put(change.transaction, limit)


@action("limits.remove", Permission.LIMITS_WRITE, writes=True)
def remove_limits(desk: Desk, actor: Actor, names: Sequence[str]) -> Sequence[str]:
    """Remove limits; what they held back goes on. Names those that there were."""
    for name in names:
        _admit(actor, "limits.remove", _queue_of(name))
    with desk.change(actor, "limits.remove", {"limits": list(names)}) as change:
        removed = rows.drop(change.transaction, names)
        change.outcome["removed"] = removed
    return removed


@action("limits.order", Permission.LIMITS_WRITE, writes=True)
def set_order(desk: Desk, actor: Actor, queue: str, fair: bool, age_seconds: float | None) -> None:
    """Say in which order a queue is served.

    :param fair: by tenants and their weights; else first come, first served.
    :param age_seconds: what waits is one step of priority more urgent each so often.
    """
    _admit(actor, "limits.order", queue)
    with desk.change(actor, "limits.order", {"queue": queue, "fair": fair, "age_seconds": age_seconds}) as change:
        rows.put_order(change.transaction, queue, fair, age_seconds)


@action("limits.weight", Permission.LIMITS_WRITE, writes=True)
def set_weight(desk: Desk, actor: Actor, queue: str, tenant: str, weight: float) -> None:
    """Say how much of a queue in fair order a tenant gets; others weigh 1."""
    _admit(actor, "limits.weight", queue)
    with desk.change(actor, "limits.weight", {"queue": queue, "tenant": tenant, "weight": weight}) as change:
        rows.put_weight(change.transaction, queue, tenant, weight)


def _queue_of(limit: str) -> str | None:
    kind, _, name = limit.partition(":")
    return name if kind == "queue" else None


def _sees(actor: Actor, queue: str | None) -> bool:
    return queue is None or actor.scope.queues is None or queue in actor.scope.queues


def _admit(actor: Actor, asked: str, queue: str | None) -> None:
    """Keep to the actor's scope: of what is a queue's, if all its tenants may be seen; else only who sees all.

    :raises Forbidden: naming what is out of scope.
    """
    scope = actor.scope
    if scope.everywhere or (queue is not None and scope.tenants is None and scope.holds(queue, None)):
        return
    where = "all queues and tenants" if queue is None else f"all that is in queue {queue}"
    raise Forbidden(asked, str(Permission.LIMITS_WRITE), where)
