"""How all stands, at a glance."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, NamedTuple

from jobplatform.actions.action import action
from jobplatform.actions.actor import Actor
from jobplatform.actions.desk import Desk
from jobplatform.actions.permission import Permission
from jobplatform.journal import inspection
from jobplatform.states import State
from jobplatform.store import listing
from jobplatform.store import overview as rows
from jobplatform.store import workers as worker_rows
from jobplatform.store.database import UNREACHABLE, Transaction
from jobplatform.store.shapes.schedule import Missed
from jobplatform.store.shapes.worker import WorkerDead
from jobplatform.transport import census, keys

Row = Mapping[str, Any]

#: Where counting stops: for those who see all, whom an index answers, and for those who see but some.
CAP, CAP_WITHIN, CAP_LETTERS = 10_000, 2_000, 1_000
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
#: A schedule is missed when it is so late: tickers look every second.
_LATE = timedelta(minutes=1)
_SHOWN = 10


class Count(NamedTuple):
    """A number of jobs; ``capped`` says that there are as many or more."""

    jobs: int
    capped: bool


class Waiting(NamedTuple):
    """What waits in a queue.

    :param oldest: seconds for which the oldest has waited.
    """

    queue: str
    depth: int
    oldest: float


class Pace(NamedTuple):
    """What went through in the last hour, or since it was first looked at.

    :param arrived: jobs that came, and were started and ended.
    :param seconds: for which was looked; 0 where nobody did.
    :param per_second: jobs that ended a second; None where nobody looked.
    :param failed: the share of the attempts that failed, of all queues; None where nothing ended, or for those who see
        but some.
    """

    arrived: int
    started: int
    finished: int
    seconds: float
    per_second: float | None
    failed: float | None


@dataclass(frozen=True, slots=True)
class Tables:
    """What PostgreSQL tells; a part is None for those who may not see it.

    :ivar missed: schedules that nobody has fired.
    :ivar letters: the dead letters of the last day.
    """

    counts: Mapping[str, Count]
    pace: Pace
    workers: Mapping[str, int] | None
    dead: Sequence[Annotated[Row, WorkerDead]] | None
    missed: Sequence[Annotated[Row, Missed]] | None
    letters: Count | None
    queues: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Overview:
    """How all stands.

    :ivar tables: None while PostgreSQL cannot be reached.
    :ivar waiting: None while Redis cannot be reached, and under another broker.
    :ivar controller: whether one is alive, None where nobody can tell.
    """

    at: datetime
    postgres: bool
    redis: bool
    controller: bool | None
    tables: Tables | None
    waiting: Sequence[Waiting] | None


@action("overview.show", Permission.JOBS_READ)
def show(desk: Desk, actor: Actor) -> Overview:
    """Show how all stands: counts, waits, pace, failures, workers, schedules and stores; what is away is told so."""
    now = desk.now()
    try:
        with desk.look() as session:
            tables = _tables(session, desk, actor, now)
    except UNREACHABLE:
        tables = None
    queues = tables.queues if tables else _in_scope(actor, desk.settings.queues)
    try:
        with closing(desk.redis()) as client:
            controller = bool(client.exists(keys.CONTROLLER))
            waiting = _waiting(client, queues) if desk.settings.leases else None
    except inspection.UNREADABLE:
        return Overview(now, tables is not None, False, None, tables, None)
    return Overview(now, tables is not None, True, controller, tables, waiting)


def _tables(session: Transaction, desk: Desk, actor: Actor, now: datetime) -> Tables:
    sees_workers = actor.may(Permission.WORKERS_READ)
    return Tables(
        counts=_counts(session, actor),
        pace=_pace(session, actor, now),
        workers=rows.workers(session, now - _DAY) if sees_workers else None,
        dead=rows.dead_workers(session, now - _DAY, _SHOWN) if sees_workers else None,
        missed=_missed(session, actor, now),
        letters=_letters(session, actor, now),
        queues=_queues(session, desk, actor),
    )


def _counts(session: Transaction, actor: Actor) -> dict[str, Count]:
    if actor.scope.everywhere:
        return {status: Count(jobs, jobs >= CAP) for status, jobs in listing.count_by_state(session, CAP).items()}
    states = [str(state) for state in State]
    found = rows.count_states(session, states, actor.scope.queues, actor.scope.tenants, CAP_WITHIN)
    return {row["status"]: Count(row["jobs"], row["looked_at"] >= CAP_WITHIN) for row in found}


def _pace(session: Transaction, actor: Actor, now: datetime) -> Pace:
    if actor.scope.tenants is not None:
        return Pace(0, 0, 0, 0.0, None, None)
    found = rows.moved(session, now - _HOUR, actor.scope.queues)
    arrived, started, finished = (sum(row[name] for row in found) for name in ("arrived", "started", "finished"))
    seconds = max((row["seconds"] for row in found), default=0.0)
    attempts, failed = rows.attempts(session, now - _HOUR) if actor.scope.everywhere else (0, 0)
    per_second, share = finished / seconds if seconds else None, failed / attempts if attempts else None
    return Pace(arrived, started, finished, seconds, per_second, share)


def _missed(session: Transaction, actor: Actor, now: datetime) -> Sequence[Row] | None:
    if not actor.may(Permission.SCHEDULES_READ) or actor.scope.tenants is not None:
        return None
    return rows.missed_schedules(session, now - _LATE, _SHOWN, actor.scope.queues)


def _letters(session: Transaction, actor: Actor, now: datetime) -> Count | None:
    if not actor.may(Permission.LETTERS_READ):
        return None
    scope = actor.scope.queues, actor.scope.tenants
    letters, looked_at = rows.letters(session, now - _DAY, CAP_LETTERS, *scope)
    return Count(letters, looked_at >= CAP_LETTERS)


def _queues(session: Transaction, desk: Desk, actor: Actor) -> tuple[str, ...]:
    taken = {queue for _, queues in worker_rows.skills(session) for queue in queues or ()}
    return _in_scope(actor, {*taken, *desk.settings.queues})


def _in_scope(actor: Actor, queues: Collection[str]) -> tuple[str, ...]:
    """Name the queues that are in scope; how long they are tells nothing of a tenant alone."""
    if actor.scope.tenants is not None or not actor.may(Permission.QUEUES_READ):
        return ()
    return tuple(sorted(queue for queue in queues if actor.scope.holds(queue, None)))


def _waiting(client: Any, queues: Sequence[str]) -> list[Waiting]:
    found = census.backlog(client, queues)
    return [Waiting(queue, each.depth, each.oldest) for queue, each in found.items()]
