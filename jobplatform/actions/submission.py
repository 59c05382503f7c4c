"""Submitting jobs by the name of their type, with or without its code."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from jobplatform.actions.action import action
from jobplatform.actions.actor import Actor
from jobplatform.actions.desk import Desk
from jobplatform.actions.permission import Permission
from jobplatform.actions.schema import Problem, problems, step
from jobplatform.errors import (
    Forbidden,
    IdempotencyConflict,
    JobOptionError,
    KeyTaken,
    PayloadProblems,
    UnknownJobType,
)
from jobplatform.jobs import client
from jobplatform.jobs.platform import platform_of
from jobplatform.jobs.published import OURS, options_of
from jobplatform.store import job_types, listing
from jobplatform.store.database import UNREACHABLE, Transaction

logger = logging.getLogger(__name__)


Row = Mapping[str, Any]

#: Jobs of one call.
MOST = 1_000


@dataclass(frozen=True, slots=True)
class Submission:
    """A job that is to be submitted; times are seconds, None is what the job type says.

    :param payload: arguments by name, or by position.
    :param named: arguments by name beside those by position.
    :param delay: not before so many seconds from now.
    :param expires: it does not begin later than so many seconds from now.
    :param deadline: it is done within so many seconds from now, or not at all.
    :param idempotency_key: later submissions with the same key get the same job.
    :param idempotency_retention: for how long the key counts.
    """

    job_type: str
    payload: Mapping[str, Any] | Sequence[Any]
    queue: str | None = None
    priority: int | None = None
    delay: float | None = None
    eta: datetime | None = None
    expires: float | None = None
    deadline: float | None = None
    tenant: str | None = None
    tags: tuple[str, ...] = ()
    idempotency_key: str | None = None
    idempotency_retention: float | None = None
    named: Mapping[str, Any] = field(default_factory=dict)

    @property
    def args(self) -> list[Any]:
        """The arguments that are given by position."""
        return [] if isinstance(self.payload, Mapping) else list(self.payload)

    @property
    def kwargs(self) -> dict[str, Any]:
        """The arguments that are given by name."""
        return dict(self.payload) if isinstance(self.payload, Mapping) else dict(self.named)

    def options(self) -> dict[str, Any]:
        """Give what the submission itself says, as ``apply_async`` takes it."""
        said = {
            "queue": self.queue, "priority": self.priority, "countdown": self.delay, "eta": self.eta,
            "expires": self.expires, "deadline": self.deadline, "tenant": self.tenant, "tags": self.tags or None,
            "idempotency_key": self.idempotency_key, "idempotency_retention": self.idempotency_retention,
        }  # fmt: skip
        return {name: value for name, value in said.items() if value is not None}


@action("jobs.submit", Permission.JOBS_SUBMIT, writes=True)
def submit(desk: Desk, actor: Actor, asked: Submission, check_known: bool = True) -> str:
    """Submit a job, and give its id; with an idempotency key that was used, that of the job submitted with it.

    :param check_known: refuse a type that neither this process nor a controller has told of.
    :raises PayloadProblems: naming each field that does not fit the schema of the job type.
    :raises InvalidPayload: when an argument cannot be stored, or the code that is here refuses it.
    :raises UnknownJobType: when nobody knows the type.
    :raises IdempotencyConflict: when the key was used for something else.
    :raises Forbidden: when the queue or the tenant is out of the actor's scope.
    """
    app = desk.application()
    (ready,) = prepared(desk, app, actor, [asked], check_known)
    job_id = submit_prepared(desk, app, actor, asked, ready)
    try:
        desk.note(actor, "jobs.submit", _about([asked]), {"job_ids": [job_id]})
    except UNREACHABLE as error:
        # The job is in the journal: to refuse it now would be to have it twice.
        cause = str(error).partition("\n")[0]
        logger.warning("job %s was submitted by %s, and PostgreSQL is away to note it: %s", job_id, actor.name, cause)
    return job_id


@action("jobs.submit_many", Permission.JOBS_SUBMIT, writes=True)
def submit_many(desk: Desk, actor: Actor, asked: Sequence[Submission], check_known: bool = True) -> list[str]:
    """Submit jobs, all of them or none, and give their ids in this order; the dispatcher publishes them.

    :raises JobOptionError: when there is none, or there are too many.
    :raises PayloadProblems: as ``submit`` does; the pointers begin with the place of the job in the list.
    """
    if not 1 <= len(asked) <= MOST:
        raise JobOptionError(f"jobs: {len(asked)} were given; give 1 to {MOST} at once")
    app = desk.application()
    ready = prepared(desk, app, actor, asked, check_known, places=True)
    with desk.change(actor, "jobs.submit_many", _about(asked)) as change:
        ids = [
            submit_prepared(desk, app, actor, each, options, change.transaction)
            for each, options in zip(asked, ready, strict=True)
        ]
        change.outcome["job_ids"] = ids
    return ids


def prepared(
    desk: Desk, app: Any, actor: Actor, asked: Sequence[Submission], check_known: bool, places: bool = False
) -> list[dict[str, Any]]:
    """Give the options of each, after all of them were checked.

    :param places: let pointers begin with the place of the job in the list.
    """
    known = told(desk, [each.job_type for each in asked])
    platform_of(app).know_queues({row["queue"] for row in known.values()})
    ready, wrong = [], list[Problem]()
    for place, each in enumerate(asked):
        if each.job_type.startswith(OURS):
            raise JobOptionError(f"job type: {each.job_type[:100]!r} is the platform's own, which submits it by itself")
        row, task = known.get(each.job_type), app.tasks.get(each.job_type)
        if check_known and row is None and task is None:
            raise UnknownJobType(f"job type: {each.job_type!r} is known to no controller; see: jobplatform types list")
        found = _problems(each, row, getattr(task, "job", None))
        wrong += [Problem(step(place) + at, words) if places else Problem(at, words) for at, words in found]
        options = {} if row is None or task is not None else options_of(row)
        ready.append(_within(actor, each, {**options, **_merged(each, options)}, _queue(app, row, task)))
    if wrong:
        raise PayloadProblems(asked[0].job_type, tuple(wrong))
    return ready


def told(desk: Desk, names: Sequence[str]) -> dict[str, Row]:
    """Read what controllers have told of types; nothing while PostgreSQL is away, as submitting goes on."""
    try:
        return desk.database.once(lambda session: job_types.known(session, names))
    except UNREACHABLE as error:
        logger.warning("PostgreSQL is away, so no schema is known: %s", str(error).partition("\n")[0])
        return {}


def _problems(asked: Submission, row: Row | None, declared: Any) -> list[Problem]:
    """Hold the arguments against the schema: that of the code that is here, or else what was told."""
    found = schema_problems(row, declared, asked.args, asked.kwargs)
    return found or []


def schema_problems(
    row: Row | None, declared: Any, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> list[Problem] | None:
    """List what of some arguments does not fit the schema of their type, None where there is none to say.

    :param row: what was told of the type.
    :param declared: what the code that is here says of it.
    """
    positional = declared.signature.positional if declared else tuple(row["positional"] if row else ())
    schema = declared.signature.json_schema() if declared else row and row["schema"]
    if schema is None or len(args) > len(positional):
        # With more than it names, a function takes what it likes; the code that is here, or the worker, tells.
        return None
    named = {**dict(zip(positional, args, strict=False)), **kwargs}
    return [Problem(_by_place(each.pointer, positional[: len(args)]), each.problem) for each in problems(named, schema)]


def _by_place(pointer: str, names: Sequence[str]) -> str:
    """Point to an argument that was given by position as it was given."""
    first, slash, rest = pointer[1:].partition("/")
    return f"/{names.index(first)}{slash}{rest}" if first in names else pointer


def _merged(asked: Submission, options: Mapping[str, Any]) -> dict[str, Any]:
    said = asked.options()
    tags = (*options.get("tags", ()), *asked.tags)
    return {**said, "tags": tags} if tags else said


def _queue(app: Any, row: Row | None, task: Any) -> str:
    """Name the queue of a type, if a submission names none."""
    declared = getattr(getattr(task, "job", None), "queue", None)
    return str(declared or (row and row["queue"]) or app.conf.task_default_queue)


def _within(actor: Actor, asked: Submission, options: dict[str, Any], usual: str) -> dict[str, Any]:
    """Keep a submission to the actor's scope; who has one tenant alone submits for it.

    :raises Forbidden: naming what is out of scope.
    """
    scope = actor.scope
    if scope.queues is not None:
        # A named queue is kept to, whatever is foretold of the job.
        options["queue"] = asked.queue or usual
        if options["queue"] not in scope.queues:
            raise Forbidden("jobs.submit", str(Permission.JOBS_SUBMIT), f"queue {options['queue']}")
    if scope.tenants is not None:
        if asked.tenant is None and len(scope.tenants) == 1:
            (options["tenant"],) = scope.tenants
        if options.get("tenant") not in scope.tenants:
            where = f"tenant {asked.tenant}" if asked.tenant else "jobs of no tenant; name one"
            raise Forbidden("jobs.submit", str(Permission.JOBS_SUBMIT), where)
    return options


def submit_prepared(
    desk: Desk,
    app: Any,
    actor: Actor,
    asked: Submission,
    options: dict[str, Any],
    transaction: Transaction | None = None,
) -> str:
    """Submit one job; one that another stands for has to be in the actor's scope too.

    :param options: as ``prepared`` gives them.
    :param transaction: in which its row is written; the dispatcher publishes it.
    """
    if transaction is not None:
        options = {**options, "session": transaction.connection}
    try:
        found = client.submit(asked.job_type, asked.args, asked.kwargs, app=app, **options)
    except (IdempotencyConflict, KeyTaken) as error:
        if error.job_id and not _is_seen(desk, actor, error.job_id, transaction):
            raise _taken() from error
        raise
    job_id = str(found.id)
    if asked.idempotency_key is not None and not _is_seen(desk, actor, job_id, transaction):
        raise _taken()
    return job_id


def _is_seen(desk: Desk, actor: Actor, job_id: str, transaction: Transaction | None) -> bool:
    if actor.scope.everywhere:
        return True
    scope = actor.scope.queues, actor.scope.tenants
    if transaction is not None:
        return job_id in listing.within(transaction, [job_id], *scope)
    with desk.look() as session:
        return job_id in listing.within(session, [job_id], *scope)


def _taken() -> JobOptionError:
    """Say that a key is taken by a job that is not to be told of."""
    return JobOptionError("key: it is taken by a job that is out of your scope; give another")


def _about(asked: Sequence[Submission]) -> dict[str, Any]:
    """Tell what was submitted, without the values in it."""
    types = sorted({each.job_type for each in asked})
    keys = [each.idempotency_key for each in asked if each.idempotency_key]
    about = {"jobs": len(asked), "job_types": types, "queues": sorted({each.queue for each in asked if each.queue})}
    return {**about, "idempotency_keys": keys} if keys else about
