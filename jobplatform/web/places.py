"""Where one can go from every page, for who may go there."""

from __future__ import annotations

from typing import NamedTuple

from jobplatform.actions.actor import Actor
from jobplatform.actions.permission import Permission


class Place(NamedTuple):
    """A page of the navigation.

    :param key: pressed after ``g``.
    """

    path: str
    label: str
    key: str
    permission: Permission


PLACES = (
    Place("/", "Overview", "o", Permission.JOBS_READ),
    Place("/jobs", "Jobs", "j", Permission.JOBS_READ),
    Place("/queues", "Queues", "q", Permission.QUEUES_READ),
    Place("/workers", "Workers", "w", Permission.WORKERS_READ),
    Place("/schedules", "Schedules", "s", Permission.SCHEDULES_READ),
    Place("/dead-letters", "Dead letters", "d", Permission.LETTERS_READ),
    Place("/decisions", "Decisions", "e", Permission.JOBS_READ),
    Place("/history", "Metrics", "t", Permission.QUEUES_READ),
    Place("/models", "Models", "m", Permission.MODELS_READ),
    Place("/audit", "Audit", "a", Permission.AUDIT_READ),
    Place("/people", "People", "p", Permission.USERS_READ),
)


def places_of(actor: Actor | None) -> list[Place]:
    """List where somebody may go."""
    return [] if actor is None else [each for each in PLACES if actor.may(each.permission)]
