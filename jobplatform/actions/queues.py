"""What can be done with queues and job types: see them, and let nothing more of them begin."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from typing import Annotated, Any, NamedTuple

from jobplatform.actions.action import action
from jobplatform.actions.actor import Actor
from jobplatform.actions.desk import Desk
from jobplatform.actions.permission import Permission
from jobplatform.errors import BrokerNotOurs, Forbidden
from jobplatform.store import pauses, workers
from jobplatform.store.database import Transaction
from jobplatform.store.pauses import Hold, Scope
from jobplatform.store.shapes.queue import Queue, TypeTaken
from jobplatform.transport import census

Row = Mapping[str, Any]

_PAUSE = ("reason", "paused_by", "paused_at", "paused_until")


class Paused(NamedTuple):
    """What was paused, and which of these no worker that is alive takes."""

    names: Sequence[str]
    unknown: Sequence[str]


@action("queues.list", Permission.QUEUES_READ)
def list_queues(desk: Desk, actor: Actor) -> list[Annotated[dict[str, Any], Queue]]:
    """List the queues that workers take, and those that are paused."""
    with desk.look() as session:
        paused = _paused(session, Scope.QUEUE)
        names = {*_taken(session), *desk.settings.queues, *paused}
    seen = sorted(name for name in names if actor.scope.queues is None or name in actor.scope.queues)
    with closing(desk.redis()) as client:
        return [_row(name, paused.get(name), waiting=census.waiting(client, name)) for name in seen]


@action("types.list", Permission.QUEUES_READ)
def list_types(desk: Desk, actor: Actor) -> list[Annotated[dict[str, Any], TypeTaken]]:
    """List the job types that workers take, and those that are paused."""
    with desk.look() as session:
        paused = _paused(session, Scope.TYPE)
        names = {*_known(session), *paused}
    return [_row(name, paused.get(name)) for name in sorted(names)]


@action("queues.pause", Permission.QUEUES_STEER, writes=True)
def pause_queues(desk: Desk, actor: Actor, names: Sequence[str], hold: Hold) -> Paused:
    """Pause queues: what runs goes on, and nothing more begins."""
    _admit_queues(actor, "queues.pause", names)
    return _pause(desk, actor, Scope.QUEUE, names, hold)


@action("types.pause", Permission.QUEUES_STEER, writes=True)
def pause_types(desk: Desk, actor: Actor, names: Sequence[str], hold: Hold) -> Paused:
    """Pause job types: what runs goes on, and nothing more begins."""
    _admit_queues(actor, "types.pause", None)
    return _pause(desk, actor, Scope.TYPE, names, hold)


@action("queues.resume", Permission.QUEUES_STEER, writes=True)
def resume_queues(desk: Desk, actor: Actor, names: Sequence[str]) -> Sequence[str]:
    """Resume queues; names those that were paused."""
    _admit_queues(actor, "queues.resume", names)
    return _resume(desk, actor, Scope.QUEUE, names)


@action("types.resume", Permission.QUEUES_STEER, writes=True)
def resume_types(desk: Desk, actor: Actor, names: Sequence[str]) -> Sequence[str]:
    """Resume job types; names those that were paused."""
    _admit_queues(actor, "types.resume", None)
    return _resume(desk, actor, Scope.TYPE, names)


def _admit_queues(actor: Actor, asked: str, names: Iterable[str] | None) -> None:
    """Keep to the actor's scope: of queues, those in it; what is of all queues and tenants, only those who see all.

    :raises Forbidden: naming what is out of scope.
    """
    if names is None:
        if not actor.scope.everywhere:
            raise Forbidden(asked, str(Permission.QUEUES_STEER), "all queues and tenants")
        return
    for name in names:
        if actor.scope.tenants is not None or not actor.scope.holds(name, None):
            raise Forbidden(asked, str(Permission.QUEUES_STEER), f"all that is in queue {name}")


def _pause(desk: Desk, actor: Actor, scope: Scope, names: Sequence[str], hold: Hold) -> Paused:
    if not desk.settings.leases:
        raise BrokerNotOurs("the broker is no Redis of the platform, and cannot be told what is paused")
    about = {f"{scope}s": list(names), "until": hold.until}
    with desk.change(actor, f"{scope}s.pause", about, hold.reason) as change:
        for name in names:
            pauses.pause(change.transaction, scope, name, hold)
        known = _taken(change.transaction) if scope is Scope.QUEUE else _known(change.transaction)
    return Paused(names, sorted({*names} - known - {*desk.settings.queues}))


def _resume(desk: Desk, actor: Actor, scope: Scope, names: Sequence[str]) -> Sequence[str]:
    with desk.change(actor, f"{scope}s.resume", {f"{scope}s": list(names)}) as change:
        resumed = pauses.resume(change.transaction, scope, names)
        change.outcome["resumed"] = resumed
    return resumed


def _paused(session: Transaction, scope: Scope) -> dict[str, Row]:
    return {row["name"]: row for row in pauses.list_pauses(session) if row["scope"] == scope}


def _taken(session: Transaction) -> set[str]:
    return {queue for _, taken in workers.skills(session) for queue in taken or ()}


def _known(session: Transaction) -> set[str]:
    return {name for types, _ in workers.skills(session) for name in types or ()}


def _row(name: str, pause: Row | None, **known: Any) -> dict[str, Any]:
    return {"name": name, **known, "paused": pause is not None, **{key: (pause or {}).get(key) for key in _PAUSE}}
