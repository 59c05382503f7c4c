"""Filters of jobs that people keep for themselves, each under a name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from jobplatform.actions import query
from jobplatform.actions.action import action
from jobplatform.actions.actor import Actor
from jobplatform.actions.desk import Desk
from jobplatform.actions.permission import Permission
from jobplatform.errors import JobOptionError
from jobplatform.store import saved_filters as rows
from jobplatform.store.shapes.saved_filter import SavedFilter

Row = Mapping[str, Any]

#: The most filters of one person, columns of one filter, and characters of a name.
MOST, MOST_COLUMNS, LONGEST = 50, 30, 100


@action("filters.list", Permission.JOBS_READ)
def list_filters(desk: Desk, actor: Actor) -> Sequence[Annotated[Row, SavedFilter]]:
    """List the actor's own filters by name; those of a token are its user's."""
    with desk.look() as session:
        return rows.listed(session, _owner(actor), MOST)


@action("filters.save", Permission.JOBS_READ, writes=True)
def save(desk: Desk, actor: Actor, name: str, filter: str, columns: Sequence[str] = ()) -> None:
    """Keep a filter, in place of the actor's own of the same name.

    :param filter: as it is typed, such as ``type:mail state:failed since:2h``.
    :param columns: that the list shows with it; none for the usual ones.
    :raises QueryRefused: when the filter cannot be read.
    :raises JobOptionError: when the name cannot be used, or there are too many.
    """
    if not 1 <= len(name) <= LONGEST or not name.isprintable() or not name.strip():
        raise JobOptionError(f"name: {name!r:.120} cannot be used; give 1 to {LONGEST} characters")
    if len(columns) > MOST_COLUMNS or not all(each.isidentifier() for each in columns):
        raise JobOptionError(f"columns: give at most {MOST_COLUMNS} names, such as queue and created")
    query.parse(filter, desk.now())
    with desk.change(actor, "filters.save", {"name": name}) as change:
        if not rows.save(change.transaction, _owner(actor), name, filter, columns, MOST):
            raise JobOptionError(f"name: there are {MOST} filters already; remove one of them first")


@action("filters.remove", Permission.JOBS_READ, writes=True)
def remove(desk: Desk, actor: Actor, name: str) -> None:
    """Keep one of the actor's own filters no more.

    :raises JobOptionError: when there is none of the name.
    """
    with desk.change(actor, "filters.remove", {"name": name}) as change:
        if not rows.remove(change.transaction, _owner(actor), name):
            raise JobOptionError(f"name: no filter {name!r:.120} is saved; see those that are in the list")


def _owner(actor: Actor) -> str:
    # A token is named after its user, and no user has a slash in the name.
    return actor.name.partition("/")[0]
