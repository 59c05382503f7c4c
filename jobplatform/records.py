"""Plain frozen values that the layers hand to each other."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

#: Who holds a job that no person has paused.
PLATFORM = "platform"
#: Task ids that are no UUIDs get one from this namespace, so that the same id always means the same row.
_FOREIGN_IDS = uuid.UUID("6f4e5bb2-5d0e-5f0b-9d0a-3b1a4f6f2a10")


def new_job_id(now: float | None = None, entropy: bytes | None = None) -> str:
    """Make a time-ordered job id (UUID version 7, RFC 9562 section 5.7).

    :param now: seconds since the epoch.
    :param entropy: ten random bytes.
    """
    milliseconds = int((time.time() if now is None else now) * 1000)
    noise = int.from_bytes(os.urandom(10) if entropy is None else entropy)
    text = f"{milliseconds << 80 | 7 << 76 | (noise >> 62 & 0xFFF) << 64 | 2 << 62 | noise & 0x3FFFFFFFFFFFFFFF:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def new_job_ids(now: float, count: int) -> list[str]:
    """Make many job ids of one moment, in order.

    :param now: seconds since the epoch.
    """
    entropy = os.urandom(10 * count)
    return sorted(new_job_id(now, entropy[start : start + 10]) for start in range(0, 10 * count, 10))


def job_id_of(task_id: str) -> str:
    """Give the job id that stands for a Celery task id: itself if it is a UUID, a derived one if not."""
    try:
        return str(uuid.UUID(task_id))
    except ValueError:
        return str(uuid.uuid5(_FOREIGN_IDS, task_id))


def earliest(*times: float | None) -> float | None:
    """Give the earliest of some times, of which any may be missing."""
    return min((at for at in times if at is not None), default=None)


class Edge(NamedTuple):
    """What a job waits for: the job, the end that is asked of it, and what to do when it ends otherwise.

    ``policy`` is ``success``, ``finished`` or ``failure``; ``on_failure`` is ``cancel``, ``continue`` or ``hold``.
    """

    job_id: str
    policy: str = "success"
    on_failure: str = "cancel"


class Idempotency(NamedTuple):
    """What makes a submission count once: its key, a hash of what it submits, and from when until when it counts.

    Times are seconds since the epoch.
    """

    key: str
    fingerprint: str
    since: float
    until: float


class Inputs(NamedTuple):
    """The jobs whose results are the first argument of another: a list of all, unless ``each`` says just the one."""

    of: tuple[str, ...]
    each: bool = False

    def as_value(self) -> dict[str, Any]:
        """Write it as ``NewJob.message`` holds it."""
        return {"of": list(self.of), "each": self.each}

    def fill(self, payload: Mapping[str, Any], results: Mapping[str, Any]) -> dict[str, Any]:
        """Put the results in place of the first argument."""
        found = [results.get(job_id) for job_id in self.of]
        return {**payload, "args": [found[0] if self.each else found, *payload["args"][1:]]}


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job that is about to be written: the values of its row.

    ``payload`` is JSON text; times are seconds since the epoch; ``message`` holds what is needed, beyond the
    columns, to publish the same message again. ``due_at`` None means that its message is published at once.
    """

    job_id: str
    job_type: str
    payload: str
    queue: str
    priority: int = 1
    status: str = "PENDING"
    max_retries: int = 5
    retry_count: int = 0
    attempt: int = 1
    scheduled_at: float | None = None
    due_at: float | None = None
    enqueued_at: float | None = None
    expires_at: float | None = None
    #: How many seconds it has from its submission, and when they are over.
    deadline: float | None = None
    deadline_at: float | None = None
    timeout: float | None = None
    soft_timeout: float | None = None
    root_id: str | None = None
    parent_id: str | None = None
    tenant: str | None = None
    #: Jobs with this key share limits; and how many units of limits it takes, 1 if None.
    limit_key: str | None = None
    units: int | None = None
    tags: tuple[str, ...] | None = None
    retry_rule: Mapping[str, Any] | None = None
    message: Mapping[str, Any] | None = None
    #: What it waits for; each is written as a list of id, policy, and what to do when it ends otherwise.
    after: tuple[Edge, ...] | None = None
    unique_key: str | None = None
    unique_scope: str | None = None
    unique_until: float | None = None
    #: What becomes of it when another job has its key.
    unique_mode: str | None = None
    idempotency: Idempotency | None = None
    #: What waits for this job waits for the new one as well.
    before: str | None = None
    #: The batch that it is counted in.
    batch_id: str | None = None
    #: What tells its runs apart from others of its type, how many seconds it is foretold to take (a tenth takes less
    #: than p10, a tenth more than p90), and who foretold that.
    duration_key: str | None = None
    predicted_p10: float | None = None
    predicted_p50: float | None = None
    predicted_p90: float | None = None
    predicted_by: str | None = None

    @property
    def begins_by(self) -> float | None:
        """Until when it may begin, in seconds since the epoch; None for ever."""
        return earliest(self.expires_at, self.deadline_at)


#: What the dispatcher does with a due job: publish its message; see to it that none is handed out and that what runs is
#: told to stop (void), or to stop at its next checkpoint (hold); or take that back (unhold).
STEPS = frozenset({"publish", "void", "hold", "unhold"})


@dataclass(frozen=True, slots=True)
class DueJob:
    """A job that was just found due: what the dispatcher needs to tell Redis of it."""

    job_id: str
    job_type: str
    payload: Mapping[str, Any]
    queue: str
    priority: int
    attempt: int
    retry_count: int
    expires_at: datetime | None
    timeout: float | None
    soft_timeout: float | None
    root_id: str | None
    parent_id: str | None
    message: Mapping[str, Any] | None
    tenant: str | None = None
    limit_key: str | None = None
    units: int = 1
    deadline_at: datetime | None = None
    #: What is to be done, one of ``STEPS``.
    step: str = "publish"
    #: Whether an earlier message of it may still be on its way.
    again: bool = False
    #: Whether it was interrupted, and has waited for its turn already.
    first: bool = False
    #: Whether it tries what others of its type are held for.
    trial: bool = False

    @property
    def inputs(self) -> Inputs | None:
        """What its first argument is made of."""
        value = (self.message or {}).get("inputs")
        return Inputs(tuple(value["of"]), value["each"]) if value else None

    @property
    def task_id(self) -> str:
        """The id that its messages carry."""
        return str((self.message or {}).get("task_id", self.job_id))


#: The names of the row's values, but for the payload, which is JSON text already.
_ROW_FIELDS = [name for name in NewJob.__dataclass_fields__ if name != "payload"]


def filled(template: Any, values: Mapping[str, Any]) -> Any:
    """Put values into the texts of a JSON value; a text that is nothing but a name becomes the value itself.

    :param values: by name, such as ``{fire_at}``.
    """
    if isinstance(template, str):
        if template in values:
            return values[template]
        for name, value in values.items():
            template = template.replace(name, str(value))
        return template
    if isinstance(template, list):
        return [filled(item, values) for item in template]
    if isinstance(template, dict):
        return {key: filled(item, values) for key, item in template.items()}
    return template


def job_of_row(row: Mapping[str, Any]) -> NewJob:
    """Give the new job that a row as ``row_of`` writes it stands for."""
    after = tuple(Edge(*edge) for edge in row.get("after") or ()) or None
    once = Idempotency(*row["idempotency"]) if row.get("idempotency") else None
    return NewJob(**{**row, "payload": json.dumps(row["payload"]), "after": after, "idempotency": once})


def row_of(job: NewJob) -> str:
    """Give the JSON text of the row that a new job becomes."""
    values = {name: value for name in _ROW_FIELDS if (value := getattr(job, name)) is not None}
    return f'{json.dumps(values)[:-1]},"payload":{job.payload}}}'


def rows_like(job: NewJob, jobs: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Give the rows of many jobs that differ from one only in their id and payload.

    :param jobs: pairs of job id and JSON text of the payload.
    """
    values = {name: value for name in _ROW_FIELDS if name != "job_id" and (value := getattr(job, name)) is not None}
    rest = json.dumps(values)[1:-1]
    return (f'{{"job_id":"{job_id}",{rest},"payload":{payload}}}' for job_id, payload in jobs)
