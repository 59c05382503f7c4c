"""How many workers there are to be, which of them are heard, and who replaces whom."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Annotated, Any, NamedTuple

from jobplatform.actions.action import action
from jobplatform.actions.actor import Actor
from jobplatform.actions.desk import Desk
from jobplatform.actions.permission import Permission
from jobplatform.errors import SettingsError
from jobplatform.store import fleets
from jobplatform.store import replacements as rows
from jobplatform.store.shapes.fleet import FleetWish, PublishedWish, Replacement
from jobplatform.workers.fleet import Member
from jobplatform.workers.kubernetes_fleet import deletion_costs, wish_body
from jobplatform.workers.published_fleet import PublishedFleet
from jobplatform.workers.replacement import sentence
from jobplatform.workers.replacer import next_choice
from jobplatform.workers.roll import Roll

Row = Mapping[str, Any]

#: Who asks for a number that follows the demand.
SCALER = "scaler"


class Size(NamedTuple):
    """How many workers there are to be.

    :param wish: what was asked for last, None when nothing was: then there are to be ``least``.
    :param held: whether a person holds it at this number, whatever the scaler would have.
    """

    pool: str
    wish: Annotated[Row, FleetWish] | None
    least: int
    most: int
    held: bool


class Replacements(NamedTuple):
    """Replacements, the last first, each with its sentence; and why somebody who is failing is not replaced."""

    rows: Sequence[Annotated[Row, Replacement]]
    stays: str | None


class Wish(NamedTuple):
    """What Kubernetes is told: how many pods there are to be, and what each costs that goes."""

    body: Annotated[Row, PublishedWish]
    costs: Mapping[str, int]


@action("fleet.list", Permission.WORKERS_READ)
def list_members(desk: Desk, actor: Actor) -> list[Member]:
    """List the workers that are heard, by name, and what each is asked to do."""
    with _members(desk) as members:
        return sorted(members, key=lambda member: member.name)


@action("fleet.show", Permission.WORKERS_READ)
def show_size(desk: Desk, actor: Actor) -> Size:
    """Show how many workers are wished for, by whom, and between which bounds."""
    with desk.look() as session:
        return _size(desk, fleets.read(session, desk.settings.fleet_pool))


@action("fleet.size", Permission.WORKERS_STEER, writes=True)
def set_size(desk: Desk, actor: Actor, wanted: int | None, reason: str, by: str | None = None) -> Size:
    """Wish for so many workers, which holds whatever a scaler would have, or leave the number to the scaler (None).

    :param by: who asks, if not the actor.
    :raises SettingsError: when the number is out of the bounds.
    """
    settings, who = desk.settings, by or actor.name
    if wanted is not None and not settings.fleet_min <= wanted <= settings.fleet_max:
        raise SettingsError(
            f"{wanted} workers: a fleet has {settings.fleet_min} to {settings.fleet_max}; "
            "ask for so many, or change JOBPLATFORM_FLEET_MIN or JOBPLATFORM_FLEET_MAX"
        )
    about = {"pool": settings.fleet_pool, "wanted": "auto" if wanted is None else wanted}
    with desk.change(actor, "fleet.size", about, reason) as change:
        if wanted is None:
            before = fleets.read(change.transaction, settings.fleet_pool)
            number = before["wanted"] if before else settings.fleet_min
            fleets.wish(change.transaction, settings.fleet_pool, number, f"left to it by {who}", SCALER)
        else:
            fleets.wish(change.transaction, settings.fleet_pool, wanted, reason, who)
        return _size(desk, fleets.read(change.transaction, settings.fleet_pool))


@action("fleet.replacements", Permission.WORKERS_READ)
def list_replacements(desk: Desk, actor: Actor, limit: int) -> Replacements:
    """Tell which workers were replaced, why and how that went, the last first; and who is failing and stays."""
    with _members(desk) as members, desk.look() as session:
        found = [{**row, "sentence": sentence(row)} for row in rows.recent(session, limit)]
        choice = next_choice(session, desk.settings, members, desk.now())
    return Replacements(found, choice.reason if choice.stays else None)


@action("fleet.wish", Permission.WORKERS_READ)
def wish(desk: Desk, actor: Actor) -> Wish:
    """Tell what Kubernetes is told: how many pods, and which of them may go first."""
    settings = desk.settings
    with _members(desk) as members, desk.look() as session:
        return Wish(wish_body(fleets.read(session, settings.fleet_pool), settings.fleet_min), deletion_costs(members))


def read_wish(desk: Desk) -> Mapping[str, Any]:
    """Give how many workers there are to be, for whoever starts them; it takes no login."""
    pool, least = desk.settings.fleet_pool, desk.settings.fleet_min
    return wish_body(desk.database.once(lambda session: fleets.read(session, pool)), least)


@contextmanager
def _members(desk: Desk) -> Iterator[list[Member]]:
    """List the workers that were heard; the fleet is made for the time of the block."""
    settings = desk.settings
    with closing(desk.redis()) as client:
        yield list(PublishedFleet(settings.fleet_pool, Roll(desk.database, client, settings.stale_seconds)).members())


def _size(desk: Desk, found: Row | None) -> Size:
    settings = desk.settings
    held = found is not None and found["asked_by"] != SCALER
    return Size(settings.fleet_pool, found, settings.fleet_min, settings.fleet_max, held)
