"""What can be done with jobs."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, NamedTuple

from jobplatform.actions.action import action
from jobplatform.actions.actor import Actor
from jobplatform.actions.desk import Desk
from jobplatform.actions.payloads import shown
from jobplatform.actions.permission import Permission
from jobplatform.actions.steering import Chosen, Count, Steered, Verb, counted, steer, within
from jobplatform.errors import JobNotFound, JobOptionError
from jobplatform.jobs.eta import Eta
from jobplatform.maintenance import prospect
from jobplatform.states import UNFINISHED, WAITING, State
from jobplatform.store import dead_letters, executions, graphs, holds, listing, retry_decisions, search
from jobplatform.store import jobs as job_rows
from jobplatform.store.database import Transaction
from jobplatform.store.listing import JobFilter
from jobplatform.store.pauses import Hold
from jobplatform.store.search import Found
from jobplatform.store.shapes.attempt import Attempt, RetryDecision
from jobplatform.store.shapes.job import Edge, Job
from jobplatform.store.shapes.workflow import GraphJob

Row = Mapping[str, Any]

#: So many edges of a job are shown.
_EDGES = 100
_PAUSABLE = (State.PENDING, State.SCHEDULED, State.RETRYING, State.PROCESSING)
_MOVABLE = (*sorted(WAITING), State.RETRYING)
MISSING = "job {}: there is no such job; see: jobplatform jobs list"


#: A page of jobs, where the next one begins, and how far was looked.
Page = Found


class Shown(NamedTuple):
    """A job with its attempts, what was decided after each failure, and its edges."""

    job: Annotated[Row, Job]
    attempts: Sequence[Annotated[Row, Attempt]]
    decisions: Sequence[Annotated[Row, RetryDecision]]
    edges: Sequence[Annotated[Row, Edge]]


@action("jobs.list", Permission.JOBS_READ)
def list_jobs(
    desk: Desk, actor: Actor, chosen: JobFilter, limit: int, after: tuple[datetime, str] | None = None
) -> Page:
    """List jobs, newest first.

    :raises Forbidden: when the filter looks into payloads, which the actor may not see.
    """
    with desk.look() as session:
        return search.find(session, within(actor, chosen), limit, after)


@action("jobs.count", Permission.JOBS_READ)
def count_jobs(desk: Desk, actor: Actor, chosen: JobFilter, cap: int) -> Count:
    """Count jobs, up to a number, and among so many as a few pages look at.

    :raises Forbidden: when the filter looks into payloads, which the actor may not see.
    """
    with desk.look() as session:
        return counted(session, within(actor, chosen), cap)


@action("jobs.show", Permission.JOBS_READ)
def show_job(desk: Desk, actor: Actor, job_id: str) -> Shown:
    """Show a job, its attempts, and what was decided after each failure."""
    with desk.look() as session:
        job = visible(session, actor, job_id)
        return Shown(
            shown(desk, actor, job),
            executions.of_job(session, job_id),
            retry_decisions.of_job(session, job_id),
            _edges_of(session, actor, job_id),
        )


@action("jobs.states", Permission.JOBS_READ)
def states(desk: Desk, actor: Actor, job_ids: Sequence[str]) -> dict[str, str]:
    """Tell in which states some jobs are, by id; those that are not there are left out."""
    with desk.look() as session:
        return listing.within(session, job_ids, actor.scope.queues, actor.scope.tenants)


@action("jobs.graph", Permission.JOBS_READ)
def graph(desk: Desk, actor: Actor, job_id: str, limit: int) -> Sequence[Annotated[Row, GraphJob]]:
    """List the jobs that hang together with one by dependencies; one more than ``limit`` says that there are more."""
    with desk.look() as session:
        visible(session, actor, job_id)
        found = graphs.of_job(session, job_id, limit + 1)
        if actor.scope.everywhere:
            return found
        known = _known(session, actor, (row["job_id"] for row in found))
    seen = [row for row in found if row["job_id"] in known]
    return [{**row, "after": [each for each in row["after"] if each in known]} for row in seen]


@action("jobs.eta", Permission.JOBS_READ)
def eta(desk: Desk, actor: Actor, job_id: str, workflow: bool = False) -> Eta:
    """Tell when a job, or all that hangs together with it, begins and ends."""
    with desk.look() as session:
        visible(session, actor, job_id)
        return (prospect.of_workflow if workflow else prospect.of_job)(session, job_id, desk.now())


@action("jobs.retry", Permission.JOBS_STEER, writes=True)
def retry(desk: Desk, actor: Actor, chosen: Chosen, dry_run: bool = False) -> Steered:
    """Run jobs now: those that wait for a time at once, those that failed or were cancelled once more."""
    return steer(desk, actor, _to_retry(actor), chosen, dry_run)


@action("jobs.cancel", Permission.JOBS_STEER, writes=True)
def cancel(
    desk: Desk, actor: Actor, chosen: Chosen, reason: str, cascade: bool = False, dry_run: bool = False
) -> Steered:
    """Cancel jobs: those that wait never start, those that run are told to stop, and are killed if they do not."""
    return steer(desk, actor, _to_cancel(actor, reason, cascade), chosen, dry_run)


@action("jobs.pause", Permission.JOBS_STEER, writes=True)
def pause(desk: Desk, actor: Actor, chosen: Chosen, hold: Hold, dry_run: bool = False) -> Steered:
    """Pause jobs: those that wait do not start, those that run stop at their next checkpoint."""
    return steer(desk, actor, _to_pause(hold), chosen, dry_run)


@action("jobs.resume", Permission.JOBS_STEER, writes=True)
def resume(desk: Desk, actor: Actor, chosen: Chosen, dry_run: bool = False) -> Steered:
    """Let paused jobs go on, also those that are parked since no worker knew their type."""
    return steer(desk, actor, _TO_RESUME, chosen, dry_run)


@action("jobs.move", Permission.JOBS_STEER, writes=True)
def move(
    desk: Desk, actor: Actor, chosen: Chosen, queue: str | None, priority: int | None, dry_run: bool = False
) -> Steered:
    """Change the queue or the priority of jobs that have not begun."""
    return steer(desk, actor, _to_move(queue, priority), chosen, dry_run)


def _to_retry(actor: Actor) -> Verb:
    """Give the verb that runs jobs now."""

    def do(transaction: Transaction, ids: Sequence[str]) -> dict[str, str]:
        hastened = job_rows.hasten(transaction, ids)
        replayed = dead_letters.replay(transaction, ids, actor.name)
        return {**dict.fromkeys(hastened, "hastened"), **dict.fromkeys(replayed, "replayed")}

    rule = "only jobs that wait for a time, failed or were cancelled can be retried"
    return Verb("jobs.retry", do, (State.RETRYING, State.FAILED), rule)


def _to_cancel(actor: Actor, reason: str, cascade: bool) -> Verb:
    """Give the verb that cancels jobs.

    :param cascade: also what the jobs have submitted, and what that has.
    """

    def do(transaction: Transaction, ids: Sequence[str]) -> dict[str, str]:
        meant = holds.descendants(transaction, ids) if cascade else ids
        if cascade and not actor.scope.everywhere:
            meant = list(listing.within(transaction, meant, actor.scope.queues, actor.scope.tenants))
        before = job_rows.cancel(transaction, meant, reason)
        return {each: "told to stop" if state is State.PROCESSING else "cancelled" for each, state in before.items()}

    rule = "only jobs that have not ended can be cancelled"
    return Verb("jobs.cancel", do, tuple(sorted(UNFINISHED)), rule, {"cascade": cascade}, reason)


def _to_pause(hold: Hold) -> Verb:
    """Give the verb that pauses jobs."""

    def do(transaction: Transaction, ids: Sequence[str]) -> dict[str, str]:
        before = holds.pause(transaction, ids, hold)
        return {each: "asked to pause" if state is State.PROCESSING else "paused" for each, state in before.items()}

    return Verb(
        "jobs.pause", do, _PAUSABLE, "only jobs that wait or run can be paused", {"until": hold.until}, hold.reason
    )


def _to_move(queue: str | None, priority: int | None) -> Verb:
    """Give the verb that puts jobs elsewhere.

    :raises JobOptionError: when nothing says where.
    """
    if queue is None and priority is None:
        raise JobOptionError("queue: nothing says where to move them; give a queue or a priority")

    def do(transaction: Transaction, ids: Sequence[str]) -> dict[str, str]:
        return dict.fromkeys(holds.move(transaction, ids, queue, priority), "moved")

    rule = "only jobs that have not begun, and are not there already, can be moved"
    return Verb("jobs.move", do, _MOVABLE, rule, {"queue": queue, "priority": priority})


#: What can be done to all jobs of a filter.
VERBS = ("jobs.retry", "jobs.cancel", "jobs.pause", "jobs.resume", "jobs.move")


def verb_of(actor: Actor, name: str, values: Mapping[str, Any], reason: str | None) -> Verb:
    """Give a verb by the name of its action.

    :param values: ``cascade``; ``until``, in ISO 8601; ``queue`` and ``priority``.
    :raises JobOptionError: when a value is missing, or one is too many.
    """
    takes = {"jobs.cancel": {"cascade"}, "jobs.pause": {"until"}, "jobs.move": {"queue", "priority"}}.get(name, set())
    for odd in sorted(values.keys() - takes):
        raise JobOptionError(f"{odd}: {name} takes no such value; leave it out")
    why = reason or "asked in bulk"
    if name == "jobs.cancel":
        return _to_cancel(actor, why, bool(values.get("cascade")))
    if name == "jobs.pause":
        until = values.get("until")
        return _to_pause(Hold(why, actor.name, until and datetime.fromisoformat(until)))
    if name == "jobs.move":
        return _to_move(values.get("queue"), values.get("priority"))
    return _TO_RESUME if name == "jobs.resume" else _to_retry(actor)


def _resumed(transaction: Transaction, ids: Sequence[str]) -> dict[str, str]:
    return dict.fromkeys(holds.resume(transaction, ids), "resumed")


_TO_RESUME = Verb("jobs.resume", _resumed, (State.PAUSED,), "only jobs that are paused can be resumed")


def _edges_of(session: Transaction, actor: Actor, job_id: str) -> list[Row]:
    """List the edges of a job of which both ends are in the actor's scope."""
    edges = graphs.edges_of(session, job_id, _EDGES)
    if actor.scope.everywhere:
        return list(edges)
    known = _known(session, actor, (each[end] for each in edges for end in ("job_id", "depends_on_job_id")))
    return [each for each in edges if each["job_id"] in known and each["depends_on_job_id"] in known]


def _known(session: Transaction, actor: Actor, job_ids: Iterable[str]) -> Collection[str]:
    """Name those of some jobs that are there and in the actor's scope."""
    return listing.within(session, list(dict.fromkeys(job_ids)), actor.scope.queues, actor.scope.tenants).keys()


def visible(session: Transaction, actor: Actor, job_id: str) -> Row:
    """Read a job.

    :raises JobNotFound: also when it is out of the actor's scope: that it is there is not to be told.
    """
    job = listing.show_job(session, job_id) if is_id(job_id) else None
    if job is None or not actor.scope.holds(job["queue"], job["tenant"]):
        raise JobNotFound(MISSING.format(job_id))
    return job


def is_id(text: str) -> bool:
    """Tell whether a text is an id."""
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True
