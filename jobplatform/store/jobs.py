"""The rows of ``jobs``: one function and one guarded statement a transition."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from jobplatform.decision import BOUNDS, Moved, RetryFacts
from jobplatform.records import PLATFORM, STEPS, DueJob
from jobplatform.states import UNFINISHED, State, rank_sql, states_sql
from jobplatform.store import dependencies
from jobplatform.store.cancellations import count_sql
from jobplatform.store.database import Transaction
from jobplatform.store.statement import Statement

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_ID = "00000000-0000-7000-8000-000000000000"

#: A job that was asked to pause while it ran is paused before it begins again; it may have run before its row said so.
_STAYS_HELD = f"""(j.hold_by is not null and r.status in ('PROCESSING', 'PENDING', 'RETRYING')
            and (j.status = 'PROCESSING' or (j.status = 'PAUSED' and j.hold_by <> '{PLATFORM}')))"""

APPLY_TRANSITIONS = Statement(
    "apply_transitions",
    f"""
    with moved as (
    update @jobs as j
    set status = r.status, attempt = r.attempt, worker_id = coalesce(r.worker_id, j.worker_id),
        started_at = to_timestamp(r.started_at), completed_at = to_timestamp(r.completed_at),
        due_at = case when {_STAYS_HELD} and r.status = 'PROCESSING' then now() else to_timestamp(r.due_at) end,
        result = r.result, error_type = r.error_type,
        error_message = r.error_message, fingerprint = r.fingerprint, deaths = coalesce(r.deaths, j.deaths),
        hold_reason = case when {_STAYS_HELD} then j.hold_reason else r.hold_reason end,
        hold_by = case when {_STAYS_HELD} then j.hold_by else r.hold_by end,
        hold_until = case when {_STAYS_HELD} then j.hold_until end, gate = r.gate,
        trial = j.trial and r.status = 'PROCESSING', updated_at = now()
    from json_to_recordset(%(rows)s) as r(job_id uuid, status text, attempt int, rank int, worker_id text,
        started_at float8, completed_at float8, due_at float8, result jsonb, error_type text, error_message text,
        fingerprint text, deaths int, hold_reason text, hold_by text, gate text, ended_at float8)
    where j.job_id = r.job_id and (r.attempt, r.rank) > (j.attempt, {rank_sql("j.status")})
    returning j.job_type, j.queue, j.status, r.ended_at - r.started_at as ran,
        case when r.ended_at is not null then r.started_at - extract(epoch from j.enqueued_at)::float8 end as waited
    )
    select job_type, queue, status, count(*)::int as jobs,
        width_bucket(ran, %(bounds)s::float8[]) as run, width_bucket(waited, %(bounds)s::float8[]) as wait,
        coalesce(sum(greatest(ran, 0)), 0) as run_seconds, coalesce(sum(greatest(waited, 0)), 0) as wait_seconds
    from moved group by job_type, queue, status, run, wait
    """,
    {"rows": "[]", "bounds": list(BOUNDS)},
)

APPLY_PROGRESS = Statement(
    "apply_progress",
    """
    update @jobs as j set progress = r.progress, updated_at = now()
    from json_to_recordset(%(rows)s) as r(job_id uuid, attempt int, at float8, progress jsonb)
    where j.job_id = r.job_id
        and (j.progress is null or (r.attempt, r.at) > ((j.progress->>'attempt')::int, (j.progress->>'at')::float8))
    """,
    {"rows": "[]"},
)

# A void or a hold is told to Redis twice, the second time after it has surely kept what it was told first.
CLAIM_DUE = Statement(
    "claim_due",
    f"""
    with due as materialized (
        select job_id, status as was, case
            when status = 'CANCELLED' then 'void'
            when status = 'PROCESSING' and (hold_by is null or hold_until <= %(now)s) then 'unhold'
            when status in ('PROCESSING', 'PAUSED') and coalesce(hold_until > %(now)s, true) then 'hold'
            when least(expires_at, deadline_at) <= %(now)s then 'expire'
            when status <> 'PAUSED' and hold_by is not null then 'pause'
            when not trial and exists (select from @pauses p where p.scope = 'type' and p.name = job_type) then 'park'
            when scheduled_at > %(now)s then 'postpone'
            else 'publish' end as step
        from @jobs
        where due_at <= %(now)s and (status <> 'BLOCKED' or least(expires_at, deadline_at) <= %(now)s)
            and (%(publish)s or status in ('CANCELLED', 'PROCESSING')
                or (status = 'PAUSED' and coalesce(hold_until > %(now)s, true)))
        order by due_at limit %(limit)s
        for update skip locked
    ), claimed as (
    update @jobs as j
    set status = case due.step when 'void' then 'CANCELLED' when 'expire' then 'CANCELLED' when 'unhold' then due.was
            when 'hold' then due.was when 'pause' then 'PAUSED' when 'park' then 'PAUSED'
            when 'postpone' then 'SCHEDULED' else 'PENDING' end,
        error_type = case when due.step <> 'expire' then j.error_type
            when j.deadline_at <= coalesce(j.expires_at, j.deadline_at) then 'DeadlineExceeded' else 'Expired' end,
        completed_at = case due.step when 'void' then j.completed_at when 'expire' then %(now)s end,
        attempt = j.attempt + (due.was = 'RETRYING' or (due.was = 'PAUSED' and due.step <> 'hold'))::int,
        retry_count = j.retry_count + (due.was = 'RETRYING' and j.gate is null)::int, gate = null,
        due_at = case
            when due.step in ('void', 'hold', 'unhold') and j.updated_at > now() - %(again_after)s
                then least(%(now)s + %(again_after)s, j.hold_until)
            when due.step in ('hold', 'pause') then j.hold_until
            when due.step = 'postpone' then j.scheduled_at end,
        hold_reason = case when due.step in ('hold', 'pause') then j.hold_reason
            when due.step = 'park' then 'paused: jobs of this type wait until it is resumed' end,
        hold_by = case when due.step in ('hold', 'pause') then j.hold_by when due.step = 'park' then '{PLATFORM}' end,
        hold_until = case when due.step in ('hold', 'pause') then j.hold_until end,
        enqueued_at = case when due.step = 'publish' then %(now)s else j.enqueued_at end,
        updated_at = case when due.step in ('void', 'hold', 'unhold') then j.updated_at else %(now)s end
    from due
    where j.job_id = due.job_id and due.was not in ('COMPLETED', 'FAILED')
    returning j.job_id::text, j.job_type, j.status, j.payload, j.queue, j.priority, j.attempt, j.retry_count,
        j.expires_at, j.deadline_at, j.timeout, j.soft_timeout, j.root_id::text, j.parent_id::text, j.message,
        j.tenant, j.limit_key, j.units, j.trial, due.step, due.was in ('PENDING', 'PAUSED') and j.attempt > 1 as again,
        due.was = 'PENDING' and (j.deaths > 0 or j.error_type is not distinct from 'Interrupted') as first
    ), counted as ({count_sql("claimed where step = 'expire'")})
    select * from claimed
    """,
    {"now": _NOW, "limit": 1, "publish": True, "again_after": timedelta(seconds=6)},
)

MARK_DUE = Statement(
    "mark_due",
    """
    update @jobs set due_at = now(), updated_at = now(), attempt = attempt + %(again)s
    where job_id = any(%(job_ids)s::uuid[]) and status = 'PENDING' and due_at is null
    """,
    {"job_ids": [_ID], "again": 0},
)

READ_RETRY_FACTS = Statement(
    "read_retry_facts",
    """
    select job_id::text, max_retries, retry_count, retry_rule, deaths, attempt, status, job_type, trial,
        extract(epoch from deadline_at)::float8 as deadline_at,
        d.first_failed_at, d.times_held
    from @jobs j cross join lateral (
        select extract(epoch from min(decided_at))::float8 as first_failed_at,
            count(*) filter (where gate is not null)::int as times_held
        from @retry_decisions where job_id = j.job_id and ended is null
    ) d where job_id = any(%(job_ids)s::uuid[])
    """,
    {"job_ids": [_ID]},
)

LIST_MISSING = Statement(
    "list_missing",
    """
    select wanted.job_id::text from unnest(%(job_ids)s::uuid[]) as wanted(job_id)
    where not exists (select from @jobs j where j.job_id = wanted.job_id)
    """,
    {"job_ids": [_ID]},
)

CANCEL_JOBS = Statement(
    "cancel_jobs",
    f"""
    with open as materialized (
        select job_id, status as was from @jobs
        where job_id = any(%(job_ids)s::uuid[]) and status in {states_sql(UNFINISHED)} order by job_id for update
    ), cancelled as (
    update @jobs as j set status = 'CANCELLED', due_at = case when open.was in ('PENDING', 'PROCESSING') then now() end,
        completed_at = now(), updated_at = now(), error_type = 'Cancelled', error_message = %(reason)s, gate = null,
        hold_reason = null, hold_by = null, hold_until = null
    from open where j.job_id = open.job_id
    returning j.job_id::text, open.was, j.job_type, j.queue
    ), counted as ({count_sql("cancelled")})
    select job_id, was from cancelled
    """,
    {"job_ids": [_ID], "reason": ""},
)

REPLAY_JOBS = Statement(
    "replay_jobs",
    """
    update @jobs set status = 'PENDING', attempt = attempt + 1, retry_count = 0, deaths = 0, due_at = now(),
        started_at = null, completed_at = null, error_type = null, error_message = null, fingerprint = null,
        deadline_at = now() + make_interval(secs => deadline),
        expires_at = case when expires_at > now() then expires_at end, updated_at = now()
    where job_id = any(%(job_ids)s::uuid[]) and status in ('FAILED', 'CANCELLED')
    returning job_id::text
    """,
    {"job_ids": [_ID]},
)

HASTEN_JOBS = Statement(
    "hasten_jobs",
    """
    update @jobs set due_at = now(), updated_at = now()
    where job_id = any(%(job_ids)s::uuid[]) and status in ('RETRYING', 'SCHEDULED')
    returning job_id::text
    """,
    {"job_ids": [_ID]},
)


def apply_transitions(transaction: Transaction, rows: Sequence[Mapping[str, Any]]) -> list[Moved]:
    """Apply state changes that are ahead of their rows, and tell what became of jobs; the others change nothing."""
    if not rows:
        return []
    # In the order in which a cancellation locks its rows: otherwise the two may wait for each other.
    ordered = sorted(rows, key=lambda row: str(row["job_id"]))
    moved = transaction.rows(APPLY_TRANSITIONS, rows=json.dumps(ordered), bounds=list(BOUNDS))
    return [Moved(**row) for row in moved]


def apply_progress(transaction: Transaction, rows: Sequence[Mapping[str, Any]]) -> int:
    """Apply progress reports that are newer than what the rows show."""
    return transaction.count(APPLY_PROGRESS, rows=json.dumps(rows)) if rows else 0


def claim_due(
    transaction: Transaction, now: datetime, limit: int, again_after: timedelta, publish: bool = True
) -> list[DueJob]:
    """Do what is due to rows, and return the jobs of which Redis is to be told.

    Waiting ones become pending, to be published; those that expired are cancelled instead, and those that are held, or
    whose type is, are paused. Jobs that were cancelled or paused while Redis had their messages are returned too.

    :param again_after: after so long Redis is told of those once more, should it have lost its last writes.
    :param publish: whether jobs that wait are to be published, too; otherwise they stay due.
    """
    fields = DueJob.__dataclass_fields__
    rows = transaction.rows(CLAIM_DUE, now=now, limit=limit, again_after=again_after, publish=publish)
    dependencies.settle(transaction, [row["job_id"] for row in rows if row["step"] == "expire"])
    return [DueJob(**{name: row[name] for name in fields}) for row in rows if row["step"] in STEPS]


def mark_due(transaction: Transaction, job_ids: Sequence[str], again: bool = False) -> int:
    """Say that no message stands for some pending jobs, so that the dispatcher publishes them.

    :param again: a message may be on its way all the same, so the next one is that of a new attempt.
    """
    return transaction.count(MARK_DUE, job_ids=list(job_ids), again=int(again))


def retry_facts(transaction: Transaction, job_ids: Sequence[str]) -> dict[str, RetryFacts]:
    """Read what retry decisions need, by job id."""
    rows = transaction.rows(READ_RETRY_FACTS, job_ids=list(job_ids))
    return {row["job_id"]: RetryFacts(**row) for row in rows}


def missing(transaction: Transaction, job_ids: Sequence[str]) -> set[str]:
    """Tell for which jobs there is no row."""
    return {row["job_id"] for row in transaction.rows(LIST_MISSING, job_ids=list(job_ids))}


def cancel(transaction: Transaction, job_ids: Sequence[str], reason: str) -> dict[str, State]:
    """Cancel jobs that have not ended, and return what they were, by id.

    The dispatcher then sees to it that no message of theirs is handed out, and that what runs is told to stop. What
    depends on them goes on, or is cancelled, as its edges say.
    """
    rows = transaction.rows(CANCEL_JOBS, job_ids=list(job_ids), reason=reason)
    dependencies.settle(transaction, [row["job_id"] for row in rows])
    return {row["job_id"]: State(row["was"]) for row in rows}


def replay(transaction: Transaction, job_ids: Sequence[str]) -> list[str]:
    """Make finished jobs run once more, with their retries restored; return the ids that were failed or cancelled.

    They have as long until their deadline as they had from their submission, and an expiry that has passed counts no
    more. What was cancelled or held as they did not complete waits for them again.
    """
    replayed = [row["job_id"] for row in transaction.rows(REPLAY_JOBS, job_ids=list(job_ids))]
    dependencies.await_again(transaction, replayed)
    return replayed


def hasten(transaction: Transaction, job_ids: Sequence[str]) -> list[str]:
    """Make waiting retries and scheduled jobs due now; return the ids that were waiting for a time."""
    return [row["job_id"] for row in transaction.rows(HASTEN_JOBS, job_ids=list(job_ids))]
