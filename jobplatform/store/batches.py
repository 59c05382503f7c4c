"""The rows of ``batches``: jobs that are counted together."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from jobplatform.errors import BatchClosed, BatchNotFound
from jobplatform.states import UNFINISHED, State, states_sql
from jobplatform.store import dead_letters, jobs
from jobplatform.store.database import Database, Transaction
from jobplatform.store.statement import Statement
from jobplatform.store.tallies import FIELDS, UNCANCELLED, tally_of
from jobplatform.tally import Progress, progress_of

Row = Mapping[str, Any]

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_ID = "00000000-0000-7000-8000-000000000000"
_BEFORE_ALL = "00000000-0000-0000-0000-000000000000"
#: Failed jobs in one transaction.
_PAGE = 1_000

INSERT_BATCH = Statement(
    "insert_batch",
    """
    insert into @batches (batch_id, name, callbacks) values (%(batch_id)s::uuid, %(name)s, %(callbacks)s::jsonb)
    on conflict (batch_id) do nothing
    """,
    {"batch_id": _ID, "name": "import", "callbacks": "{}"},
)

# While one who adds jobs holds this, the batch is not found to be over; its counts can be written all the same.
LOCK_MEMBERSHIP = Statement(
    "lock_membership",
    "select batch_id::text from @batches where batch_id = %(batch_id)s::uuid for key share",
    {"batch_id": _ID},
)

READ_CLOSED = Statement(
    "read_closed",
    "select name, closed_at, cancelled_at from @batches where batch_id = %(batch_id)s::uuid",
    {"batch_id": _ID},
)

CLOSE_BATCH = Statement(
    "close_batch",
    """
    update @batches set closed_at = coalesce(closed_at, now()) where batch_id = %(batch_id)s::uuid
    returning batch_id::text
    """,
    {"batch_id": _ID},
)

CANCEL_BATCH = Statement(
    "cancel_batch",
    """
    update @batches set cancelled_at = coalesce(cancelled_at, now()), closed_at = coalesce(closed_at, now()),
        cancel_reason = coalesce(cancel_reason, %(reason)s)
    where batch_id = %(batch_id)s::uuid and complete_at is null
    returning batch_id::text
    """,
    {"batch_id": _ID, "reason": ""},
)

LIST_CANCELLING = Statement(
    "list_cancelling",
    f"""
    select batch_id::text, cancel_reason as reason from @batches
    where {UNCANCELLED} order by batch_id limit %(limit)s
    """,
    {"limit": 1},
)

LIST_FAILED = Statement(
    "list_failed",
    f"""
    select job_id::text from @jobs as j
    where batch_id = %(batch_id)s::uuid and status = '{State.FAILED}' and j.job_id > %(after)s::uuid
    order by j.job_id limit %(limit)s
    """,
    {"batch_id": _ID, "after": _ID, "limit": 1},
)

# Once the batch has finished, this is about jobs that its running ones have added since it was cancelled, and not about
# those that were replayed.
LIST_TO_CANCEL = Statement(
    "list_to_cancel",
    f"""
    select j.job_id::text from @batches b join @jobs j on j.batch_id = b.batch_id
    where b.batch_id = %(batch_id)s::uuid and j.status in {states_sql(UNFINISHED)}
        and (b.complete_at is null or j.attempt = 1 or j.created_at >= b.cancelled_at)
    limit %(limit)s
    """,
    {"batch_id": _ID, "limit": 1},
)

# What was noted and is not added up yet counts, so that the answer is that of the rows of the jobs.
READ_PROGRESS = Statement(
    "read_progress",
    f"""
    select {FIELDS}, b.callbacks, b.cancel_reason, p.*, now() as at,
        (select count(*) from @jobs j where j.batch_id = b.batch_id and j.status = '{State.PROCESSING}') as running
    from @batches b, lateral (
        select coalesce(sum(c.added), 0)::int as more_total, coalesce(sum(c.completed), 0)::int as more_completed,
            coalesce(sum(c.failed), 0)::int as more_failed, coalesce(sum(c.cancelled), 0)::int as more_cancelled
        from @batch_changes c where c.batch_id = b.batch_id
    ) as p
    where b.batch_id = %(batch_id)s::uuid
    """,
    {"batch_id": _ID},
)

# Who may not look everywhere sees the batches of which they see every job, and that have one.
_SCOPE = """((%(in_queues)s::text[] is null and %(in_tenants)s::text[] is null) or (
            not exists (select from @jobs own where own.batch_id = b.batch_id and not coalesce(
                (%(in_queues)s::text[] is null or own.queue = any(%(in_queues)s::text[]))
                and (%(in_tenants)s::text[] is null or own.tenant = any(%(in_tenants)s::text[])), false))
            and exists (select from @jobs own where own.batch_id = b.batch_id)))"""

FIND_BATCH = Statement(
    "find_batch",
    f"select b.name from @batches b where b.batch_id = %(batch_id)s::uuid and {_SCOPE}",
    {"batch_id": _ID, "in_queues": ["celery"], "in_tenants": None},
)

LIST_BATCHES = Statement(
    "list_batches",
    f"""
    select {FIELDS}, now() as at from @batches b
    where (not %(unfinished)s or complete_at is null) and {_SCOPE}
        and (%(before_time)s::timestamptz is null
            or (b.created_at, b.batch_id) < (%(before_time)s::timestamptz, %(before_id)s::uuid))
    order by b.created_at desc, b.batch_id desc limit %(limit)s
    """,
    {
        "unfinished": True,
        "in_queues": ["celery"],
        "in_tenants": None,
        "before_time": _NOW,
        "before_id": _ID,
        "limit": 1,
    },
)


def insert(transaction: Transaction, batch_id: str, name: str, callbacks: Mapping[str, Mapping[str, Any]]) -> None:
    """Write a new batch, which is open.

    :param callbacks: by event, the row of the job that it makes.
    """
    transaction.count(INSERT_BATCH, batch_id=batch_id, name=name, callbacks=json.dumps(callbacks))


def join(transaction: Transaction, batch_id: str) -> None:
    """Let the transaction add jobs to a batch, which is not found to be over before the transaction has ended.

    :raises BatchNotFound: when there is none.
    :raises BatchClosed: when it takes no more jobs.
    """
    transaction.rows(LOCK_MEMBERSHIP, batch_id=batch_id)
    # The lock may be on a row that was read before somebody closed the batch.
    found = transaction.rows(READ_CLOSED, batch_id=batch_id)
    if not found:
        raise BatchNotFound(batch_id)
    if found[0]["closed_at"] is not None:
        raise BatchClosed(batch_id, found[0]["name"])


def close(transaction: Transaction, batch_id: str) -> None:
    """Let a batch take no more jobs, but for those that its own jobs add; one that is closed stays so.

    :raises BatchNotFound: when there is none.
    """
    if not transaction.rows(CLOSE_BATCH, batch_id=batch_id):
        raise BatchNotFound(batch_id)


def cancel(transaction: Transaction, batch_id: str, reason: str) -> bool:
    """Close a batch and let the controller cancel all of its jobs that have not ended, and those that are added yet.

    :returns: whether it had not finished.
    :raises BatchNotFound: when there is none.
    """
    if transaction.rows(CANCEL_BATCH, batch_id=batch_id, reason=reason):
        return True
    if not transaction.rows(READ_CLOSED, batch_id=batch_id):
        raise BatchNotFound(batch_id)
    return False


def cancelling(transaction: Transaction, limit: int) -> dict[str, str]:
    """Give the reasons of batches that were cancelled and whose jobs have not all ended, by id.

    :param limit: batches at once.
    """
    return {row["batch_id"]: row["reason"] for row in transaction.rows(LIST_CANCELLING, limit=limit)}


def cancel_some(transaction: Transaction, batch_id: str, reason: str, limit: int) -> int:
    """Cancel jobs of a batch that was cancelled; returns how many.

    What was replayed after the batch had finished is left alone.

    :param limit: jobs at once.
    """
    found = [row["job_id"] for row in transaction.rows(LIST_TO_CANCEL, batch_id=batch_id, limit=limit)]
    return len(jobs.cancel(transaction, found, reason)) if found else 0


def retry_failed(database: Database, batch_id: str, by: str | None = None) -> int:
    """Let all failed jobs of a batch run once more, some in each transaction; returns how many do.

    :raises BatchNotFound: when there is none.
    """
    count, last = 0, _BEFORE_ALL
    while True:
        with database.transaction() as transaction:
            if not transaction.rows(READ_CLOSED, batch_id=batch_id):
                raise BatchNotFound(batch_id)
            rows = transaction.rows(LIST_FAILED, batch_id=batch_id, after=last, limit=_PAGE)
            if not rows:
                return count
            replayed = dead_letters.replay(transaction, [row["job_id"] for row in rows], by)
        count, last = count + len(replayed), rows[-1]["job_id"]


def find(
    transaction: Transaction, batch_id: str, queues: Collection[str] | None, tenants: Collection[str] | None
) -> None:
    """Insist on a batch that is in the scope of who asks; None is everywhere.

    :raises BatchNotFound: when there is none.
    """
    if not transaction.rows(FIND_BATCH, batch_id=batch_id, **_scope(queues, tenants)):
        raise BatchNotFound(batch_id)


def show(transaction: Transaction, batch_id: str) -> tuple[Row, Progress]:
    """Read a batch and how far it is, as the rows of its jobs say it.

    :raises BatchNotFound: when there is none.
    """
    rows = transaction.rows(READ_PROGRESS, batch_id=batch_id)
    if not rows:
        raise BatchNotFound(batch_id)
    row = rows[0]
    counts = {name: row[name] + row[f"more_{name}"] for name in ("total", "completed", "failed", "cancelled")}
    return row, progress_of(tally_of({**row, **counts}), row["running"], row["at"])


def listed(
    transaction: Transaction,
    unfinished: bool,
    limit: int,
    before: tuple[datetime, str] | None = None,
    queues: Collection[str] | None = None,
    tenants: Collection[str] | None = None,
) -> Sequence[Row]:
    """List batches, newest first; their counts lag by a moment.

    :param unfinished: only those that have never finished.
    :param before: (created_at, batch_id) of the last one of the page before.
    :param queues: with ``tenants`` the scope of who asks; None is everywhere.
    """
    time, batch_id = before or (None, None)
    place = {"before_time": time, "before_id": batch_id, "limit": limit}
    return transaction.rows(LIST_BATCHES, unfinished=unfinished, **place, **_scope(queues, tenants))


def _scope(queues: Collection[str] | None, tenants: Collection[str] | None) -> dict[str, list[str] | None]:
    known = {"in_queues": queues, "in_tenants": tenants}
    return {name: None if values is None else sorted(values) for name, values in known.items()}
