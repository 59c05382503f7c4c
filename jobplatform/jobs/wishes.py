"""What the caller of one submission wishes, sorted into ours and Celery's own options."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from jobplatform.errors import JobOptionError
from jobplatform.jobs.after import edges_of
from jobplatform.jobs.deadline import Deadline, deadline_of
from jobplatform.jobs.hiding import NOTHING, Hiding
from jobplatform.jobs.idempotency import check_key, check_retention
from jobplatform.jobs.membership import batch_id_of
from jobplatform.jobs.options import check_priority, check_units
from jobplatform.jobs.retry import RetryRule
from jobplatform.jobs.unique import Unique
from jobplatform.records import Edge, job_id_of

#: The options that need nothing of Celery's publishing.
OURS = frozenset(
    {
        "queue", "priority", "countdown", "eta", "expires", "deadline", "time_limit", "soft_time_limit", "timeout",
        "soft_timeout", "task_id", "tags", "tenant", "max_retries", "retry_rule", "session", "connection", "after",
        "unique", "idempotency_key", "idempotency_retention", "limit_key", "units", "batch",
    }
)  # fmt: skip
#: Those that Celery does not know, or would take otherwise.
_NOT_CELERYS = frozenset(
    {
        "tags", "tenant", "max_retries", "retry_rule", "session", "timeout", "soft_timeout", "after", "unique", "batch",
        "idempotency_key", "idempotency_retention", "deadline", "limit_key", "units",
    }
)  # fmt: skip
#: Those that many jobs can share.
SHARED = OURS - {"task_id", "unique", "idempotency_key", "idempotency_retention"}
#: Options of a part of a canvas, which nothing else can stand for.
_CANVAS = ("chain", "chord", "group_id")


@dataclass(frozen=True, slots=True)
class Wishes:
    """One submission's options; times are seconds since the epoch, limits are seconds.

    ``hiding`` is what was told of a type whose code is not here; ``celery`` holds what only Celery's own publishing
    understands.
    """

    queue: str | None = None
    priority: int | None = None
    due_at: float | None = None
    expires_at: float | None = None
    deadline: Deadline | None = None
    timeout: float | None = None
    soft_timeout: float | None = None
    task_id: str | None = None
    tags: tuple[str, ...] = ()
    tenant: str | None = None
    max_retries: int | None = None
    retry_rule: RetryRule | None = None
    transaction: Any = None
    after: tuple[Edge, ...] = ()
    unique: Unique | None = None
    limit_key: str | None = None
    units: int | None = None
    idempotency_key: str | None = None
    idempotency_retention: float | None = None
    batch_id: str | None = None
    hiding: Hiding = NOTHING
    celery: Mapping[str, Any] = field(default_factory=dict)
    given: Mapping[str, Any] = field(default_factory=dict)

    def for_celery(self) -> dict[str, Any]:
        """Give the options that Celery's ``apply_async`` is called with."""
        options = {name: value for name, value in self.given.items() if name not in _NOT_CELERYS}
        options.setdefault("time_limit", self.timeout)
        options.setdefault("soft_time_limit", self.soft_timeout)
        return {name: value for name, value in options.items() if value is not None}


_PLAIN = Wishes()


def wishes_of(options: Mapping[str, Any], now: float) -> Wishes:
    """Sort the options of one submission.

    :param now: seconds since the epoch, from which a countdown counts.
    :raises JobOptionError: when an option has a value that cannot be used.
    """
    if not options:
        return _PLAIN
    get = options.get
    queue, connection = get("queue"), get("connection")
    transactional = type(connection).__module__.startswith("sqlalchemy")
    celery = {name: value for name, value in options.items() if name not in OURS and value is not None}
    if queue is not None and not isinstance(queue, str):
        celery["queue"] = queue
    if connection is not None and not transactional:
        celery["connection"] = connection
    task_id = get("task_id")
    if task_id is not None and job_id_of(task_id) != task_id:
        celery["task_id"] = task_id
    key = check_key(get("idempotency_key"))
    if key is not None and any(celery.get(name) for name in _CANVAS):
        raise JobOptionError("idempotency_key: nothing can stand for a part of a canvas; submit the job by itself")
    due_at = _moment(get("eta"), now, "eta") if get("eta") else _after(get("countdown"), now, "countdown")
    return Wishes(
        queue=queue if isinstance(queue, str) else None,
        priority=None if get("priority") is None else check_priority(get("priority")),
        due_at=due_at if due_at is not None and due_at > now else None,
        expires_at=_moment(get("expires"), now, "expires"),
        deadline=deadline_of(get("deadline"), now),
        timeout=get("timeout") or get("time_limit"),
        soft_timeout=get("soft_timeout") or get("soft_time_limit"),
        task_id=task_id,
        tags=tuple(get("tags") or ()),
        tenant=get("tenant"),
        max_retries=get("max_retries"),
        retry_rule=get("retry_rule"),
        transaction=get("session") if get("session") is not None else (connection if transactional else None),
        after=edges_of(get("after")),
        unique=get("unique"),
        limit_key=get("limit_key"),
        units=None if get("units") is None else check_units(get("units")),
        idempotency_key=key,
        idempotency_retention=check_retention(get("idempotency_retention"), key),
        batch_id=batch_id_of(get("batch")),
        celery=celery,
        given=options,
    )


def _after(value: Any, now: float, name: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise JobOptionError(f"{name}: {value!r} is no time; give seconds")
    return now + float(value)


def _moment(value: Any, now: float, name: str) -> float | None:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError as error:
            raise JobOptionError(
                f"{name}: {value!r} is no ISO 8601 time; give one such as 2027-01-31T12:00Z"
            ) from error
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    return _after(value, now, name)


_carried: ContextVar[Wishes] = ContextVar("jobplatform_wishes", default=_PLAIN)
_standing: ContextVar[list[str] | None] = ContextVar("jobplatform_standing", default=None)


@contextmanager
def carrying(wishes: Wishes) -> Iterator[list[str]]:
    """Carry wishes through Celery's publishing, which knows nothing of them.

    What it gives holds, at the end, the id of the job that stands for what was published, if that had a key.
    """
    token, found = _carried.set(wishes), list[str]()
    before = _standing.set(found)
    try:
        yield found
    finally:
        _standing.reset(before)
        _carried.reset(token)


def stand(job_id: str) -> None:
    """Note the job that stands for what is being published."""
    found = _standing.get()
    if found is not None:
        found.append(job_id)


def carried() -> Wishes:
    """Give the wishes that the current publishing carries."""
    return _carried.get()
