"""Where one can go from every page, for who may go there."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from jobplatform.actions.actor import Actor
from jobplatform.actions.permission import Permission


class Place(NamedTuple):
    """A page of the navigation.

    :param key: pressed after ``g``.
    :param group: what stands above it and those like it; nothing for the first of all.
    """

    path: str
    label: str
    key: str
    permission: Permission
    group: str = ""


class Group(NamedTuple):
    """Places that belong together."""

    label: str
    places: Sequence[Place]


PLACES = (
    Place("/", "Overview", "o", Permission.JOBS_READ),
    Place("/jobs", "Jobs", "j", Permission.JOBS_READ, "Work"),
    Place("/batches", "Batches", "b", Permission.JOBS_READ, "Work"),
    Place("/schedules", "Schedules", "s", Permission.SCHEDULES_READ, "Work"),
    Place("/dead-letters", "Dead letters", "d", Permission.LETTERS_READ, "Work"),
    Place("/quarantine", "Quarantine", "u", Permission.LETTERS_READ, "Work"),
    Place("/queues", "Queues", "q", Permission.QUEUES_READ, "Room"),
    Place("/limits", "Limits", "l", Permission.LIMITS_READ, "Room"),
    Place("/breakers", "Breakers", "k", Permission.QUEUES_READ, "Room"),
    Place("/workers", "Workers", "w", Permission.WORKERS_READ, "Room"),
    Place("/alerts", "Alerts", "r", Permission.ALERTS_READ, "Insight"),
    Place("/history", "Metrics", "t", Permission.QUEUES_READ, "Insight"),
    Place("/decisions", "Decisions", "e", Permission.JOBS_READ, "Insight"),
    Place("/models", "Models", "m", Permission.MODELS_READ, "Insight"),
    Place("/plans", "Plans", "n", Permission.PLANS_APPROVE, "People"),
    Place("/audit", "Audit", "a", Permission.AUDIT_READ, "People"),
    Place("/people", "People", "p", Permission.USERS_READ, "People"),
)


def places_of(actor: Actor | None) -> list[Group]:
    """List where somebody may go, by group; one in which they may go nowhere is left out."""
    found = [] if actor is None else [each for each in PLACES if actor.may(each.permission)]
    return [Group(label, list(places)) for label, places in groupby(found, key=attrgetter("group"))]
