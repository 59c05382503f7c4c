"""Single jobs that are held, and jobs that are put elsewhere: rows that a person changes while a job waits."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from jobplatform.states import State
from jobplatform.store.database import Transaction
from jobplatform.store.pauses import Hold
from jobplatform.store.statement import Statement

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_ID = "00000000-0000-7000-8000-000000000000"

# A retry that waits counts as begun: when it is resumed it runs at once. The dispatcher then tells Redis of those that
# may have a message, or run.
PAUSE_JOBS = Statement(
    "pause_jobs",
    """
    with open as materialized (
        select job_id, status as was from @jobs
        where job_id = any(%(job_ids)s::uuid[])
            and status in ('PENDING', 'SCHEDULED', 'RETRYING', 'PROCESSING', 'PAUSED') for update
    )
    update @jobs as j
    set status = case when open.was = 'PROCESSING' then open.was else 'PAUSED' end,
        attempt = j.attempt + (open.was = 'RETRYING')::int,
        retry_count = j.retry_count + (open.was = 'RETRYING' and j.gate is null)::int,
        due_at = case when open.was in ('PENDING', 'PROCESSING') then now() else %(until)s end,
        hold_reason = %(reason)s, hold_by = %(by)s, hold_until = %(until)s, gate = null, updated_at = now()
    from open where j.job_id = open.job_id
    returning j.job_id::text, open.was
    """,
    {"job_ids": [_ID], "reason": "", "by": "", "until": _NOW},
)

RESUME_JOBS = Statement(
    "resume_jobs",
    """
    with held as materialized (
        select job_id, status as was from @jobs
        where job_id = any(%(job_ids)s::uuid[]) and (status = 'PAUSED'
            or (status in ('PROCESSING', 'PENDING', 'RETRYING') and hold_by is not null)) for update
    )
    update @jobs as j
    set status = case when held.was <> 'PAUSED' then held.was
            when j.scheduled_at > now() then 'SCHEDULED' else 'PENDING' end,
        attempt = j.attempt + (held.was = 'PAUSED')::int,
        due_at = case held.was when 'PAUSED' then greatest(now(), j.scheduled_at)
            when 'PROCESSING' then now() else j.due_at end,
        hold_reason = null, hold_by = null, hold_until = null, updated_at = now()
    from held where j.job_id = held.job_id
    returning j.job_id::text, held.was
    """,
    {"job_ids": [_ID]},
)

# The message of the attempt that waits does not count any more; that of the next goes where it is to go.
MOVE_JOBS = Statement(
    "move_jobs",
    """
    with open as materialized (
        select job_id, status as was from @jobs
        where job_id = any(%(job_ids)s::uuid[])
            and status in ('BLOCKED', 'PENDING', 'SCHEDULED', 'RETRYING', 'PAUSED')
            and (queue, priority) is distinct from
                (coalesce(%(queue)s::text, queue), coalesce(%(priority)s::int, priority)) for update
    )
    update @jobs as j
    set queue = coalesce(%(queue)s::text, j.queue), priority = coalesce(%(priority)s::int, j.priority),
        attempt = j.attempt + (open.was = 'PENDING')::int,
        due_at = case when open.was = 'PENDING' then now() else j.due_at end, updated_at = now()
    from open where j.job_id = open.job_id
    returning j.job_id::text, open.was
    """,
    {"job_ids": [_ID], "queue": "celery", "priority": 5},
)

LIST_DESCENDANTS = Statement(
    "list_descendants",
    """
    with recursive family as (
        select job_id from @jobs where job_id = any(%(job_ids)s::uuid[])
        union
        select child.job_id from family join @jobs as child on child.parent_id = family.job_id
    )
    select job_id::text from family
    """,
    {"job_ids": [_ID]},
)


def pause(transaction: Transaction, job_ids: Sequence[str], hold: Hold) -> dict[str, State]:
    """Pause jobs that wait, and ask those that run to stop at their next checkpoint; return what they were, by id."""
    rows = transaction.rows(PAUSE_JOBS, job_ids=list(job_ids), reason=hold.reason, by=hold.by, until=hold.until)
    return {row["job_id"]: State(row["was"]) for row in rows}


def resume(transaction: Transaction, job_ids: Sequence[str]) -> dict[str, State]:
    """Let paused jobs go on, whoever paused them; return what they were, by id."""
    return {row["job_id"]: State(row["was"]) for row in transaction.rows(RESUME_JOBS, job_ids=list(job_ids))}


def move(transaction: Transaction, job_ids: Sequence[str], queue: str | None, priority: int | None) -> dict[str, State]:
    """Change queue or priority of jobs that have not begun; return what they were, by id.

    A job that begins in the same moment is stopped, and begins again where it is moved to.

    :param queue: None leaves it.
    :param priority: 1 to 5, 5 the most urgent; None leaves it.
    """
    rows = transaction.rows(MOVE_JOBS, job_ids=list(job_ids), queue=queue, priority=priority)
    return {row["job_id"]: State(row["was"]) for row in rows}


def descendants(transaction: Transaction, job_ids: Sequence[str]) -> list[str]:
    """List jobs with all that they submitted, and what those did."""
    return [row["job_id"] for row in transaction.rows(LIST_DESCENDANTS, job_ids=list(job_ids))]
