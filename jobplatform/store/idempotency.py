"""Submissions that count once: the key is claimed in the transaction that writes the job."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from jobplatform.errors import IdempotencyConflict, KeyTaken
from jobplatform.records import Idempotency, NewJob
from jobplatform.store import new_jobs, uniqueness
from jobplatform.store.database import Transaction
from jobplatform.store.statement import Statement
from jobplatform.store.uniqueness import Submitted

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_ID = "00000000-0000-7000-8000-000000000000"

FIND_KEY = Statement(
    "find_key",
    """
    select job_id::text, fingerprint from @idempotency_keys
    where key = %(key)s and expires_at > to_timestamp(%(since)s)
    """,
    {"key": "k", "since": 0.0},
)

# Who comes second waits for the first to commit; a key whose time is over changes hands.
CLAIM_KEY = Statement(
    "claim_key",
    """
    insert into @idempotency_keys as k (key, job_id, fingerprint, created_at, expires_at)
    values (%(key)s, %(job_id)s::uuid, %(fingerprint)s, to_timestamp(%(since)s), to_timestamp(%(until)s))
    on conflict (key) do update
    set job_id = excluded.job_id, fingerprint = excluded.fingerprint, created_at = excluded.created_at,
        expires_at = excluded.expires_at
    where k.expires_at <= excluded.created_at
    """,
    {"key": "k", "job_id": _ID, "fingerprint": "", "since": 0.0, "until": 0.0},
)

POINT_KEY = Statement(
    "point_key",
    "update @idempotency_keys set job_id = %(job_id)s::uuid where key = %(key)s",
    {"key": "k", "job_id": _ID},
)

RELEASE_KEY = Statement("release_key", "delete from @idempotency_keys where key = %(key)s", {"key": "k"})

PRUNE_KEYS = Statement(
    "prune_keys",
    """
    delete from @idempotency_keys where key in (
        select key from @idempotency_keys where expires_at < %(before)s
        order by expires_at limit %(limit)s for update skip locked)
    """,
    {"before": _NOW, "limit": 1_000},
)


def submit(transaction: Transaction, job: NewJob) -> Submitted:
    """Write a job, unless its idempotency key was used before, or another job has its unique key.

    :raises IdempotencyConflict: when the key was used for something else.
    :raises KeyTaken: when another job has the unique key, and the mode is ``reject``.
    """
    key = job.idempotency
    if key is None:
        return uniqueness.submit(transaction, job)
    # Most of those that come later find the key without a lock.
    used = _find(transaction, key)
    if used is None and transaction.count(CLAIM_KEY, job_id=job.job_id, **key._asdict()):
        return _write(transaction, job, key)
    used = used or _find(transaction, key)
    if used is None:
        raise IdempotencyConflict(key.key, "", "", key.fingerprint)
    if used["fingerprint"] != key.fingerprint:
        raise IdempotencyConflict(key.key, used["job_id"], used["fingerprint"], key.fingerprint)
    return Submitted(used["job_id"], made=False)


def _find(transaction: Transaction, key: Idempotency) -> Mapping[str, Any] | None:
    rows = transaction.rows(FIND_KEY, key=key.key, since=key.since)
    return rows[0] if rows else None


def _write(transaction: Transaction, job: NewJob, key: Idempotency) -> Submitted:
    if job.unique_key is None:
        made = bool(new_jobs.insert_one(transaction, job))
        return Submitted(job.job_id, made, publish=made and job.due_at is None)
    try:
        found = uniqueness.submit(transaction, job)
    except KeyTaken:
        transaction.count(RELEASE_KEY, key=key.key)
        raise
    if found.job_id != job.job_id:
        transaction.count(POINT_KEY, key=key.key, job_id=found.job_id)
    return found


def prune(transaction: Transaction, before: datetime, limit: int) -> int:
    """Delete keys that ended before a time, the oldest first; returns how many.

    :param limit: the most that are deleted.
    """
    return transaction.count(PRUNE_KEYS, before=before, limit=limit)
