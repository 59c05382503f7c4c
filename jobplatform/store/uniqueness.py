"""Jobs of which there is one at a time: the row itself is the lock, by a unique index without what has ended."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from jobplatform.errors import KeyTaken
from jobplatform.records import Edge, NewJob
from jobplatform.store import jobs, new_jobs
from jobplatform.store.database import Transaction
from jobplatform.store.statement import Statement

#: What one that waits takes over of another submission, beside its tags.
_REPLACED = ("payload", "priority", "queue", "scheduled_at", "expires_at", "deadline", "deadline_at")
#: A key that changes hands so often while one submission looks is given up on.
_TRIES = 10


class Submitted(NamedTuple):
    """The job that stands for a submission, whether it was made for it, and whether its message is to be pushed."""

    job_id: str
    made: bool
    publish: bool = False


FIND_HOLDER = Statement(
    "find_holder",
    """
    select job_id::text, status, unique_until <= now() as over from @jobs
    where unique_key = %(key)s and unique_key is not null and (
        (unique_scope = 'waiting' and status in ('BLOCKED', 'SCHEDULED', 'PENDING', 'PAUSED'))
        or (unique_scope = 'unfinished' and status not in ('COMPLETED', 'FAILED', 'CANCELLED'))
        or unique_scope = 'period')
    for update
    """,
    {"key": "k"},
)

LET_GO_OF_KEY = Statement(
    "let_go_of_key",
    "update @jobs set unique_scope = null where job_id = %(job_id)s::uuid",
    {"job_id": "00000000-0000-7000-8000-000000000000"},
)

# A message that is on its way is that of the attempt before, and does not count any more.
REPLACE_WAITING = Statement(
    "replace_waiting",
    """
    update @jobs as j
    set payload = %(payload)s::jsonb, priority = %(priority)s, queue = %(queue)s, tags = %(tags)s::text[],
        attempt = j.attempt + (j.status = 'PENDING')::int,
        scheduled_at = to_timestamp(%(scheduled_at)s), expires_at = to_timestamp(%(expires_at)s),
        deadline = %(deadline)s, deadline_at = to_timestamp(%(deadline_at)s),
        status = case when j.status in ('BLOCKED', 'PAUSED') then j.status
            when %(scheduled_at)s::float8 is null then 'PENDING' else 'SCHEDULED' end,
        due_at = case when j.status in ('BLOCKED', 'PAUSED') then j.due_at
            else coalesce(to_timestamp(%(scheduled_at)s), now()) end,
        updated_at = now()
    where job_id = %(job_id)s::uuid and status in ('BLOCKED', 'SCHEDULED', 'PENDING', 'PAUSED')
    """,
    {
        "job_id": "00000000-0000-7000-8000-000000000000", "payload": "{}", "priority": 1, "queue": "celery",
        "tags": None, "scheduled_at": None, "expires_at": None, "deadline": None, "deadline_at": None,
    },
)  # fmt: skip

FIND_RUNNING = Statement(
    "find_running",
    """
    select job_id::text from @jobs where unique_key = %(key)s and unique_scope = 'waiting'
        and status in ('PROCESSING', 'RETRYING')
    """,
    {"key": "k"},
)


def submit(transaction: Transaction, job: NewJob) -> Submitted:
    """Write a job, unless another has its key; then do what the mode says.

    ``existing`` leaves the other as it is; ``replace``, ``debounce`` and ``keep_last`` give one that waits the
    arguments and the time of the new one, and ``keep_last`` lets the new one wait for those that run. What runs is
    left alone.

    :raises KeyTaken: when the mode is ``reject``.
    """
    key, mode = job.unique_key or "", job.unique_mode
    if mode == "keep_last":
        job = _behind(job, running(transaction, key))
    for _ in range(_TRIES):
        if new_jobs.insert_one(transaction, job):
            return Submitted(job.job_id, made=True, publish=job.due_at is None)
        held = holder(transaction, key)
        if held is None:
            if not jobs.missing(transaction, [job.job_id]):
                return Submitted(job.job_id, made=False)
            continue
        if held["over"]:
            let_go(transaction, held["job_id"])
            continue
        if held["job_id"] != job.job_id:
            if mode == "reject":
                raise KeyTaken(key, held["job_id"])
            if mode != "existing":
                replace(transaction, held["job_id"], job)
        return Submitted(held["job_id"], made=False)
    raise KeyTaken(key, "")


def _behind(job: NewJob, before: Sequence[str]) -> NewJob:
    """Let a job wait for the end of others."""
    if not before:
        return job
    edges = (*(job.after or ()), *(Edge(job_id, "finished") for job_id in before))
    return dataclasses.replace(job, status="BLOCKED", after=edges, due_at=job.due_at or time.time(), enqueued_at=None)


def holder(transaction: Transaction, key: str) -> Mapping[str, Any] | None:
    """Find and lock the job that has a key, None when nobody has it."""
    rows = transaction.rows(FIND_HOLDER, key=key)
    return rows[0] if rows else None


def let_go(transaction: Transaction, job_id: str) -> None:
    """Take the key from a job whose period is over."""
    transaction.count(LET_GO_OF_KEY, job_id=job_id)


def replace(transaction: Transaction, job_id: str, job: NewJob) -> bool:
    """Give a job that waits the arguments, the place and the time of another; returns whether it waits."""
    values = {name: getattr(job, name) for name in _REPLACED}
    tags = None if job.tags is None else list(job.tags)
    return transaction.count(REPLACE_WAITING, job_id=job_id, tags=tags, **values) == 1


def running(transaction: Transaction, key: str) -> list[str]:
    """List the jobs that have begun with a key, and leave it to one that waits."""
    return [row["job_id"] for row in transaction.rows(FIND_RUNNING, key=key)]
