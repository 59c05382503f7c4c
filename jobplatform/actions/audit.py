"""Who did what: listed, exported, and checked for rows that were changed or taken out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, NamedTuple

from jobplatform.actions.action import action
from jobplatform.actions.actor import Actor
from jobplatform.actions.desk import Desk
from jobplatform.actions.permission import Permission
from jobplatform.store import audit as rows
from jobplatform.store.shapes.audit import Deed

Row = Mapping[str, Any]

_PART = 1_000


class Asked(NamedTuple):
    """Which rows; None lets every row pass."""

    actor: str | None = None
    action: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class Page(NamedTuple):
    """A page, and the number before which the next one begins; None when there is none."""

    rows: Sequence[Annotated[Row, Deed]]
    next: int | None


@action("audit.list", Permission.AUDIT_READ)
def list_deeds(desk: Desk, actor: Actor, asked: Asked, limit: int, before: int | None = None) -> Page:
    """List what was done, the newest first."""
    with desk.look() as session:
        found = rows.listed(session, limit + 1, before, *asked)
    return Page(found[:limit], found[limit - 1]["audit_id"] if len(found) > limit else None)


@action("audit.verify", Permission.AUDIT_READ)
def verify(desk: Desk, actor: Actor) -> int | None:
    """Name the first row that was changed, or before which another was taken out; None when there is none."""
    with desk.look() as session:
        return rows.broken(session)


@action("audit.export", Permission.AUDIT_READ)
def export(desk: Desk, actor: Actor, asked: Asked) -> Iterator[Row]:
    """Give all rows that match, the newest first, a part at a time; that it was asked for is written down."""
    about = {name: value for name, value in asked._asdict().items() if value is not None}
    desk.note(actor, "audit.export", about, {"asked": True})
    return _all(desk, asked)


def _all(desk: Desk, asked: Asked) -> Iterator[Row]:
    before = None
    while True:
        with desk.look() as session:
            found = rows.listed(session, _PART, before, *asked)
        yield from found
        if len(found) < _PART:
            return
        before = found[-1]["audit_id"]
