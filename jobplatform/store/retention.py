"""Rows that are not needed any more: chosen in the order in which they were made, a page at a time, and deleted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from jobplatform.states import FINAL, states_sql
from jobplatform.store.database import Transaction
from jobplatform.store.statement import Statement

Row = Mapping[str, Any]

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_ID = "00000000-0000-7000-8000-000000000000"

#: Where a pass over the jobs of one state has come to: when the last one was submitted, and its id.
Place = tuple[datetime, str]
START: Place = (datetime(1970, 1, 1, tzinfo=UTC), "00000000-0000-0000-0000-000000000000")

# Of what nobody waits for any more: no dead letter, no job after it, no batch under way, and no key that still counts.
_FREE = f"""not exists (select from @dead_letter_jobs d where d.job_id = j.job_id and d.resolved_at is null)
        and not exists (select from @job_dependencies e join @jobs w on w.job_id = e.job_id
            where e.depends_on_job_id = j.job_id and w.status not in {states_sql(FINAL)})
        and not exists (select from @batches b where b.batch_id = j.batch_id and b.complete_at is null)
        and (j.unique_until is null or j.unique_until < now())"""

CHOOSE_ENDED = Statement(
    "choose_ended",
    f"""
    select job_id::text, job_type, created_at, completed_at, {_FREE} as free from @jobs j
    where status = %(status)s and (created_at, job_id) > (%(at)s, %(job_id)s::uuid) and created_at < %(before)s
    order by created_at, job_id limit %(limit)s
    """,
    {"status": "COMPLETED", "at": START[0], "job_id": START[1], "before": _NOW, "limit": 1_000},
)

LOCK_ENDED = Statement(
    "lock_ended",
    f"""
    select job_id::text from @jobs j
    where job_id = any(%(job_ids)s::uuid[]) and status in {states_sql(FINAL)} and completed_at < %(before)s and {_FREE}
    for update of j skip locked
    """,
    {"job_ids": [_ID], "before": _NOW},
)

# PostgreSQL writes the lines, so that no number loses a digit on its way.
EXPORT_JOBS = Statement(
    "export_jobs",
    """
    select (to_jsonb(j) || jsonb_build_object('version', 1,
        'executions', (select coalesce(jsonb_agg(to_jsonb(e) - 'job_id' order by e.attempt_number), '[]')
            from @job_executions e where e.job_id = j.job_id),
        'decisions', (select coalesce(jsonb_agg(to_jsonb(d) - 'job_id' order by d.attempt), '[]')
            from @retry_decisions d where d.job_id = j.job_id)))::text as line
    from @jobs j where job_id = any(%(job_ids)s::uuid[])
    """,
    {"job_ids": [_ID]},
)

DELETE_JOBS = Statement("delete_jobs", "delete from @jobs where job_id = any(%(job_ids)s::uuid[])", {"job_ids": [_ID]})

PRUNE_BATCHES = Statement(
    "prune_batches",
    """
    delete from @batches where batch_id in (
        select batch_id from @batches b where created_at < %(before)s and complete_at < %(before)s
            and not exists (select from @jobs j where j.batch_id = b.batch_id)
        order by created_at limit %(limit)s for update skip locked
    )
    """,
    {"before": _NOW, "limit": 1},
)

PRUNE_SESSIONS = Statement(
    "prune_sessions",
    """
    delete from @sessions where session_hash in (
        select session_hash from @sessions where ends_at < %(before)s order by ends_at limit %(limit)s)
    """,
    {"before": _NOW, "limit": 1},
)

PRUNE_TOKENS = Statement(
    "prune_tokens",
    "delete from @api_tokens where least(expires_at, revoked_at) < %(before)s",
    {"before": _NOW},
)

PRUNE_WORKERS = Statement(
    "prune_workers",
    """
    delete from @workers where worker_id in (
        select worker_id from @workers where last_seen_at < %(before)s and status <> 'alive'
        order by last_seen_at limit %(limit)s for update skip locked)
    """,
    {"before": _NOW, "limit": 1},
)

PRUNE_QUARANTINE = Statement(
    "prune_quarantine",
    """
    delete from @journal_quarantine where quarantine_id in (
        select quarantine_id from @journal_quarantine where resolved_at < %(before)s
        order by quarantine_id limit %(limit)s for update skip locked)
    """,
    {"before": _NOW, "limit": 1},
)

PRUNE_REPLACEMENTS = Statement(
    "prune_replacements",
    """
    delete from @replacements where replacement_id in (
        select replacement_id from @replacements where asked_at < %(before)s and ended_at < %(before)s
        order by asked_at limit %(limit)s for update skip locked)
    """,
    {"before": _NOW, "limit": 1},
)

PRUNE_BULKS = Statement(
    "prune_bulks",
    """
    delete from @bulk_actions where bulk_id in (
        select bulk_id from @bulk_actions where finished_at < %(before)s
        order by bulk_id limit %(limit)s for update skip locked)
    """,
    {"before": _NOW, "limit": 1},
)


class Ended(NamedTuple):
    """A job that has ended.

    :param free: whether nothing waits for its row any more.
    """

    job_id: str
    job_type: str
    created_at: datetime
    completed_at: datetime | None
    free: bool


def choose(transaction: Transaction, status: str, after: Place, before: datetime, limit: int) -> list[Ended]:
    """List jobs of one state that were submitted before a time, the oldest first.

    :param after: where the page before this one ended.
    """
    rows = transaction.rows(CHOOSE_ENDED, status=status, at=after[0], job_id=after[1], before=before, limit=limit)
    return [Ended(**row) for row in rows]


def lock(transaction: Transaction, job_ids: Sequence[str], before: datetime) -> list[str]:
    """Lock those of some jobs that are over still, and name them."""
    return [row["job_id"] for row in transaction.rows(LOCK_ENDED, job_ids=list(job_ids), before=before)]


def lines(transaction: Transaction, job_ids: Sequence[str]) -> list[str]:
    """Write each of some jobs as a line of JSON, with its executions and decisions."""
    return [row["line"] for row in transaction.rows(EXPORT_JOBS, job_ids=list(job_ids))]


def delete(transaction: Transaction, job_ids: Sequence[str]) -> int:
    """Delete jobs, and all that belongs to them; returns how many."""
    return transaction.count(DELETE_JOBS, job_ids=list(job_ids))


def prune_batches(transaction: Transaction, before: datetime, limit: int) -> int:
    """Delete batches that were complete before a time and have no jobs any more; returns how many."""
    return transaction.count(PRUNE_BATCHES, before=before, limit=limit)


def prune_sessions(transaction: Transaction, before: datetime, limit: int) -> int:
    """Delete sessions that ended before a time; returns how many."""
    return transaction.count(PRUNE_SESSIONS, before=before, limit=limit)


def prune_tokens(transaction: Transaction, before: datetime, limit: int) -> int:
    """Delete tokens that have not counted since before a time, of which there are few; returns how many."""
    return transaction.count(PRUNE_TOKENS, before=before)


def prune_workers(transaction: Transaction, before: datetime, limit: int) -> int:
    """Delete workers that are gone since before a time; returns how many."""
    return transaction.count(PRUNE_WORKERS, before=before, limit=limit)


def prune_quarantine(transaction: Transaction, before: datetime, limit: int) -> int:
    """Delete what was quarantined and settled before a time; returns how many."""
    return transaction.count(PRUNE_QUARANTINE, before=before, limit=limit)


def prune_replacements(transaction: Transaction, before: datetime, limit: int) -> int:
    """Delete replacements that ended before a time; returns how many."""
    return transaction.count(PRUNE_REPLACEMENTS, before=before, limit=limit)


def prune_bulks(transaction: Transaction, before: datetime, limit: int) -> int:
    """Delete bulk actions that ended before a time; returns how many."""
    return transaction.count(PRUNE_BULKS, before=before, limit=limit)
