"""One verb for all jobs of a filter: tried first, then done by a job, page by page, under the name of who asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, NamedTuple

from jobplatform.actions import query
from jobplatform.actions.action import ACTIONS, action, admit
from jobplatform.actions.actor import Actor, Scope, Via
from jobplatform.actions.desk import Desk, deed
from jobplatform.actions.jobs import VERBS, verb_of
from jobplatform.actions.permission import Permission
from jobplatform.actions.steering import PAGE, Count, Verb, counted, narrowed
from jobplatform.errors import BulkNotFound, JobOptionError, TransitionRefused
from jobplatform.jobs import client
from jobplatform.store import audit, search
from jobplatform.store import bulk_actions as rows
from jobplatform.store.bulk_actions import NewBulk
from jobplatform.store.database import Transaction
from jobplatform.store.listing import JobFilter
from jobplatform.store.shapes.bulk import BulkAction
from jobplatform.store.shapes.job import JobListed

Row = Mapping[str, Any]

JOB_TYPE = "jobplatform.bulk"
_SAMPLE = 10
#: Where counting stops.
_COUNTED = 1_000_000


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be done.

    :param verb: the name of an action, such as ``jobs.cancel``.
    :param filter: as people type it; it has to say something.
    :param values: of the action, such as ``queue``.
    """

    verb: str
    filter: str
    reason: str | None = None
    values: Mapping[str, Any] = field(default_factory=dict)


class Plan(NamedTuple):
    """What it would be done to.

    :param filter: as it stands from now on: with times instead of durations.
    :param whole: whether all were counted; if not, there are so many or more.
    :param sample: the newest of them.
    """

    filter: str
    jobs: int
    whole: bool
    sample: Sequence[Annotated[Row, JobListed]]


class Page(NamedTuple):
    """A page of bulk actions, and the number after which the next one begins; None when there is none."""

    rows: Sequence[Annotated[Row, BulkAction]]
    next: int | None


@action("bulk.plan", Permission.JOBS_STEER)
def plan(desk: Desk, actor: Actor, wish: Wish) -> Plan:
    """Tell how many jobs a bulk action would be done to, with some of them; nothing is changed.

    :raises JobOptionError: when there is no such verb, or the filter says nothing.
    :raises QueryRefused: when the filter cannot be read.
    """
    chosen, verb = _read(desk, actor, wish)
    with desk.look() as session:
        count = _count(session, actor, verb, chosen)
        sample = search.find(session, narrowed(actor, verb, chosen), _SAMPLE).rows
    return Plan(query.write(chosen), int(count), count.whole, sample)


@action("bulk.start", Permission.JOBS_STEER, writes=True)
def start(desk: Desk, actor: Actor, wish: Wish) -> int:
    """Let a job do a verb to all jobs of a filter that are there by now; gives the number of the bulk action.

    While a page is done, what changes its jobs waits.

    :raises JobOptionError: when there is no such verb, or the filter says nothing.
    :raises QueryRefused: when the filter cannot be read.
    """
    chosen, verb = _read(desk, actor, wish)
    with desk.look() as session:
        count = _count(session, actor, verb, chosen)
    about = {"verb": wish.verb, "filter": query.write(chosen), "values": dict(wish.values), "expected": int(count)}
    new = NewBulk(
        actor.name, str(actor.via), [str(each) for each in actor.permissions], actor.scope.queues, actor.scope.tenants,
        wish.verb, query.write(chosen), wish.reason, int(count), count.whole, wish.values,
    )  # fmt: skip
    with desk.change(actor, "bulk.start", about, wish.reason) as change:
        bulk_id = rows.add(change.transaction, new)
        job = client.submit(JOB_TYPE, [bulk_id], app=desk.application(), session=change.transaction.connection)
        rows.point(change.transaction, bulk_id, str(job.id))
        change.outcome.update(bulk_id=bulk_id, job_id=str(job.id))
    return bulk_id


@action("bulk.list", Permission.JOBS_READ)
def list_bulks(desk: Desk, actor: Actor, limit: int, after: int | None = None) -> Page:
    """List bulk actions, newest first; who may not see all jobs sees their own."""
    with desk.look() as session:
        found = rows.listed(session, limit + 1, after, _whose(actor))
    return Page([_shown(row) for row in found[:limit]], found[limit - 1]["bulk_id"] if len(found) > limit else None)


@action("bulk.show", Permission.JOBS_READ)
def show_bulk(desk: Desk, actor: Actor, bulk_id: int) -> Annotated[Row, BulkAction]:
    """Show how far a bulk action is.

    :raises BulkNotFound: when there is none, or it is not to be seen.
    """
    with desk.look() as session:
        return _found(session, actor, bulk_id)


@action("bulk.cancel", Permission.JOBS_STEER, writes=True)
def cancel(desk: Desk, actor: Actor, bulk_id: int, reason: str | None = None) -> None:
    """Let a bulk action end before its next page; what was done stays done.

    :raises BulkNotFound: when there is none, or it is not to be seen.
    :raises TransitionRefused: when it has ended.
    """
    with desk.change(actor, "bulk.cancel", {"bulk_id": bulk_id}, reason) as change:
        found = _found(change.transaction, actor, bulk_id)
        if not rows.cancel(change.transaction, bulk_id, actor.name):
            raise TransitionRefused(f"bulk action {bulk_id} is {found['status']} already")


def run(desk: Desk, bulk_id: int, tell: Callable[[int, int], object], stopped: Callable[[], bool]) -> dict[str, int]:
    """Do what is left of a bulk action; each page is done and noted in one transaction, so that none is done twice.

    :param tell: is told how many jobs were done, and how many were expected.
    :param stopped: tells whether to end before the next page.
    """
    while not stopped():
        with desk.database.transaction() as transaction:
            row = rows.lock(transaction, bulk_id)
            if row is None or row["finished_at"] is not None:
                break
            jobs, ended = _page(transaction, row)
        tell(jobs, max(row["expected"], jobs))
        if ended:
            break
    with desk.look() as session:
        found = rows.listed(session, 1, bulk_id=bulk_id)
    return dict(found[0]["counts"]) if found else {}


def _page(transaction: Transaction, row: Row) -> tuple[int, bool]:
    """Do one page; gives the number of jobs so far, and whether it was the last."""
    actor = _actor(row)
    verb = verb_of(actor, row["action"], row["wish"], row["reason"])
    chosen = narrowed(actor, verb, query.parse(row["filter"], row["created_at"]))
    place = None if row["place_time"] is None else (row["place_time"], row["place_id"])
    found = search.find_ids(transaction, chosen, PAGE, place)
    # It is not to be done to the job that does it.
    meant = [each["job_id"] for each in found.rows if each["job_id"] != row["job_id"]]
    done = verb.do(transaction, meant) if meant else {}
    counts = Counter(row["counts"]) + Counter(done.values())
    rows.advance(transaction, row["bulk_id"], len(found.rows), counts, found.next)
    if found.next is None:
        about = {"bulk_id": row["bulk_id"], "filter": row["filter"], **verb.values}
        audit.add(transaction, deed(actor, verb.name, about, counts, verb.reason))
    return row["jobs"] + len(found.rows), found.next is None


def _read(desk: Desk, actor: Actor, wish: Wish) -> tuple[JobFilter, Verb]:
    """Read a wish; jobs that come later are left out, and with them the one that does it."""
    if wish.verb not in VERBS:
        raise JobOptionError(f"action: {wish.verb[:50]!r} cannot be done in bulk; choose one of {', '.join(VERBS)}")
    admit(actor, ACTIONS[wish.verb])
    verb = verb_of(actor, wish.verb, wish.values, wish.reason)
    now = desk.now()
    chosen = query.parse(wish.filter, now)
    if chosen == JobFilter():
        raise JobOptionError("filter: nothing says which jobs; give one, such as type:mail or state:failed")
    return replace(chosen, created_before=min(chosen.created_before or now, now)), verb


def _count(session: Transaction, actor: Actor, verb: Verb, chosen: JobFilter) -> Count:
    return counted(session, narrowed(actor, verb, chosen), _COUNTED)


def _actor(row: Row) -> Actor:
    queues, tenants = (None if row[name] is None else frozenset(row[name]) for name in ("queues", "tenants"))
    permissions = frozenset(Permission(name) for name in row["permissions"])
    return Actor(row["actor"], Via(row["via"]), permissions, Scope(queues, tenants))


def _whose(actor: Actor) -> str | None:
    return None if actor.scope.everywhere else actor.name


def _found(session: Transaction, actor: Actor, bulk_id: int) -> Row:
    found = rows.listed(session, 1, actor=_whose(actor), bulk_id=bulk_id)
    if not found:
        raise BulkNotFound(bulk_id)
    return _shown(found[0])


def _shown(row: Row) -> Row:
    hidden = {"permissions", "queues", "tenants", "place_id"}
    return {name: value for name, value in row.items() if name not in hidden}
