"""The rows of ``replay_jobs``: which jobs of a replay were sent, how they ended, and what came back in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from jobplatform.states import FINAL, states_sql
from jobplatform.store.database import Transaction
from jobplatform.store.statement import Statement

Row = Mapping[str, Any]

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_ID = "00000000-0000-7000-8000-000000000000"

# What has come back is looked for among all that is open, in the same look that says which of it has ended: else a job
# might fail, be retried and succeed in between.
NOTE_ENDS = Statement(
    "note_ends",
    f"""
    with looked as materialized (
        select r.job_id, j.error_type, j.fingerprint, j.completed_at, case
                when j.job_id is null then 'failed'
                when j.attempt < r.attempt or j.status not in {states_sql(FINAL)} then 'sent'
                when j.status = 'COMPLETED' then 'succeeded' else 'failed' end as state,
            (select d.fingerprint from @retry_decisions d where d.job_id = r.job_id and d.attempt >= r.attempt
                and d.fingerprint = any(p.stop_on) order by d.attempt limit 1) as returned
        from @replay_jobs r join @replays p on p.replay_id = r.replay_id left join @jobs j on j.job_id = r.job_id
        where r.replay_id = %(replay_id)s and r.state = 'sent'
    )
    update @replay_jobs r
    set state = l.state, returned = coalesce(r.returned, l.returned), error_type = l.error_type,
        fingerprint = l.fingerprint, ended_at = case when l.state <> 'sent' then coalesce(l.completed_at, %(now)s) end
    from looked l
    where r.replay_id = %(replay_id)s and r.job_id = l.job_id
        and (l.state <> 'sent' or (l.returned is not null and r.returned is null))
    """,
    {"replay_id": 1, "now": _NOW},
)

# A dead letter that somebody has resolved since is left alone.
TAKE_WAITING = Statement(
    "take_waiting",
    """
    with taken as materialized (
        select r.job_id, d.resolution from @replay_jobs r left join @dead_letter_jobs d on d.dlq_id = r.dlq_id
        where r.replay_id = %(replay_id)s and r.state = 'waiting' order by r.position limit %(limit)s
    ), skipped as (
        update @replay_jobs r set state = 'skipped', ended_at = %(now)s,
            reason = 'its dead letter is ' || coalesce(t.resolution || ' already', 'gone')
        from taken t
        where r.replay_id = %(replay_id)s and r.job_id = t.job_id and not exists (select from @dead_letter_jobs d
            where d.dlq_id = r.dlq_id and d.resolved_at is null)
        returning r.job_id
    )
    select t.job_id::text from taken t where t.job_id not in (select job_id from skipped) order by t.job_id
    """,
    {"replay_id": 1, "limit": 1, "now": _NOW},
)

NOTE_SENT = Statement(
    "note_sent",
    """
    update @replay_jobs r set state = 'sent', step = %(step)s, attempt = j.attempt, sent_at = %(now)s
    from @jobs j
    where r.replay_id = %(replay_id)s and r.job_id = any(%(job_ids)s::uuid[]) and j.job_id = r.job_id
    """,
    {"replay_id": 1, "step": 1, "now": _NOW, "job_ids": [_ID]},
)

NOTE_SKIPPED = Statement(
    "note_skipped",
    """
    update @replay_jobs set state = 'skipped', reason = %(reason)s, ended_at = %(now)s
    where replay_id = %(replay_id)s and job_id = any(%(job_ids)s::uuid[])
    """,
    {"replay_id": 1, "job_ids": [_ID], "reason": "", "now": _NOW},
)

LIST_REPLAY_TROUBLE = Statement(
    "list_replay_trouble",
    """
    select job_id::text, dlq_id, state, attempt, error_type, coalesce(returned, fingerprint) as fingerprint, reason
    from @replay_jobs where replay_id = %(replay_id)s and (state in ('failed', 'skipped') or returned is not null)
    order by position limit %(limit)s
    """,
    {"replay_id": 1, "limit": 20},
)


def take(transaction: Transaction, replay_id: int, limit: int, now: datetime) -> list[str]:
    """Name the next jobs to send; those whose dead letter is not open any more are skipped."""
    return [row["job_id"] for row in transaction.rows(TAKE_WAITING, replay_id=replay_id, limit=limit, now=now)]


def note_sent(transaction: Transaction, replay_id: int, job_ids: Sequence[str], step: int, now: datetime) -> int:
    """Note that jobs were sent, and with which attempt."""
    return transaction.count(NOTE_SENT, replay_id=replay_id, job_ids=list(job_ids), step=step, now=now)


def note_skipped(transaction: Transaction, replay_id: int, job_ids: Sequence[str], reason: str, now: datetime) -> int:
    """Note that jobs are not sent, and why."""
    return transaction.count(NOTE_SKIPPED, replay_id=replay_id, job_ids=list(job_ids), reason=reason, now=now)


def note_ends(transaction: Transaction, replay_id: int, now: datetime) -> int:
    """Note which of the jobs that were sent have ended, and how, and in which of them an error came back."""
    return transaction.count(NOTE_ENDS, replay_id=replay_id, now=now)


def trouble(transaction: Transaction, replay_id: int, limit: int) -> Sequence[Row]:
    """List the jobs of a replay that failed, were not sent, or in which an error came back."""
    return transaction.rows(LIST_REPLAY_TROUBLE, replay_id=replay_id, limit=limit)
