"""What is known of job types: their schemas, and how they are declared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NamedTuple

from jobplatform.actions.action import action
from jobplatform.actions.actor import Actor
from jobplatform.actions.desk import Desk
from jobplatform.actions.permission import Permission
from jobplatform.errors import UnknownJobType
from jobplatform.store import job_types as rows
from jobplatform.store.shapes.job_type import JobType, JobTypeListed

Row = Mapping[str, Any]


class Page(NamedTuple):
    """A page of job types, and the name after which the next one begins; None when there is none."""

    rows: Sequence[Annotated[Row, JobTypeListed]]
    next: str | None


@action("job_types.list", Permission.JOBS_READ)
def list_job_types(desk: Desk, actor: Actor, limit: int = 100, after: str = "", tools: bool = False) -> Page:
    """List the job types that can be submitted, by name.

    :param tools: those alone that are offered to agents.
    """
    queues = None if actor.scope.queues is None else sorted(actor.scope.queues)
    with desk.look() as session:
        found = rows.listed(session, limit + 1, after, queues, tools)
    return Page(found[:limit], found[limit - 1]["name"] if len(found) > limit else None)


@action("job_types.show", Permission.JOBS_READ)
def show_job_type(desk: Desk, actor: Actor, name: str) -> Annotated[Row, JobType]:
    """Show a job type: the JSON Schema of its arguments, its queue and its options.

    :raises UnknownJobType: when no controller has told of it, or it is out of the actor's scope.
    """
    with desk.look() as session:
        found = rows.known(session, [name]).get(name)
    if found is None or (actor.scope.queues is not None and found["queue"] not in actor.scope.queues):
        raise UnknownJobType(f"job type {name}: no controller has told of it; see: jobplatform types list")
    return found
