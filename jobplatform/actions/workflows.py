"""What can be seen of workflows: jobs that wait for each other, under the root that they were submitted with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Annotated, Any, NamedTuple

from jobplatform.actions.action import action
from jobplatform.actions.actor import Actor
from jobplatform.actions.desk import Desk
from jobplatform.actions.permission import Permission
from jobplatform.errors import WorkflowNotFound
from jobplatform.jobs.graph import levels
from jobplatform.store import listing
from jobplatform.store import workflows as rows
from jobplatform.store.database import Transaction
from jobplatform.store.shapes.workflow import Workflow, WorkflowJob

Row = Mapping[str, Any]


class Page(NamedTuple):
    """A page of workflows, and the root after which the next one begins; None when there is none."""

    rows: Sequence[Annotated[Row, Workflow]]
    next: str | None


class Shown(NamedTuple):
    """The jobs of a workflow in the order in which they can run, each with its level and those that it waits for.

    :param complete: whether these are all.
    """

    root_id: str
    jobs: Sequence[Annotated[Row, WorkflowJob]]
    complete: bool


@action("workflows.list", Permission.JOBS_READ)
def list_workflows(desk: Desk, actor: Actor, limit: int, after: str | None = None) -> Page:
    """List workflows of which all jobs may be seen, the newest first, each with its jobs by state.

    :param after: the root of the last one of the page before.
    """
    with desk.look() as session:
        return Page(*rows.listed(session, limit, after, actor.scope.queues, actor.scope.tenants))


@action("workflows.show", Permission.JOBS_READ)
def show_workflow(desk: Desk, actor: Actor, root_or_job: str, limit: int) -> Shown:
    """Show the jobs of a workflow, and which waits for which.

    :param root_or_job: its root, or one of its jobs.
    :param limit: jobs at most.
    """
    with desk.look() as session:
        root_id, found = _nodes(session, actor, root_or_job, limit + 1)
    shown = found[:limit]
    known = {job["job_id"] for job in shown}
    after = {job["job_id"]: [each for each in job["after"] if each in known] for job in shown}
    level = levels(after)
    jobs = [{**job, "level": level[job["job_id"]], "after": after[job["job_id"]]} for job in shown]
    return Shown(root_id, sorted(jobs, key=itemgetter("level", "job_id")), len(found) <= limit)


def _nodes(session: Transaction, actor: Actor, root_or_job: str, limit: int) -> tuple[str, Sequence[Row]]:
    """Read the jobs of a root, and name it.

    :raises WorkflowNotFound: also when all of it is out of the actor's scope.
    """
    scope = actor.scope.queues, actor.scope.tenants
    if found := rows.nodes(session, root_or_job, limit, *scope):
        return root_or_job, found
    job = listing.show_job(session, root_or_job)
    if job is None or job["root_id"] is None or not actor.scope.holds(job["queue"], job["tenant"]):
        raise WorkflowNotFound(root_or_job)
    return job["root_id"], rows.nodes(session, job["root_id"], limit, *scope)
