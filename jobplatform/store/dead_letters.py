"""The rows of ``dead_letter_jobs``: jobs that were given up, why, and what became of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from jobplatform.store import jobs
from jobplatform.store.database import Transaction
from jobplatform.store.statement import Statement

Row = Mapping[str, Any]

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_ID = "00000000-0000-7000-8000-000000000000"


@dataclass(frozen=True, slots=True)
class LetterFilter:
    """Which dead letters are meant; None lets every one pass.

    :param fingerprints: of the errors; a cluster and all that were merged into it.
    :param failed_after: inclusive.
    :param in_queues: with ``in_tenants`` the scope of who asks, by the rows of the jobs; nothing else is there for
        them.
    """

    dlq_ids: tuple[int, ...] | None = None
    job_type: str | None = None
    error_type: str | None = None
    fingerprints: tuple[str, ...] | None = None
    failed_after: datetime | None = None
    open_only: bool = True
    in_queues: frozenset[str] | None = None
    in_tenants: frozenset[str] | None = None

    def parameters(self) -> dict[str, Any]:
        """Give the parameters of ``MATCHES``."""
        return {
            "dlq_ids": None if self.dlq_ids is None else list(self.dlq_ids),
            "job_type": self.job_type,
            "error_type": self.error_type,
            "fingerprints": None if self.fingerprints is None else list(self.fingerprints),
            "failed_after": self.failed_after,
            "open_only": self.open_only,
            "in_queues": None if self.in_queues is None else sorted(self.in_queues),
            "in_tenants": None if self.in_tenants is None else sorted(self.in_tenants),
        }

    @property
    def names_any(self) -> bool:
        """Whether it says which dead letters at all."""
        return replace(self, open_only=True, in_queues=None, in_tenants=None) != LetterFilter()


#: The condition of a scope, on the table ``d``: a dead letter is where its job is.
IN_SCOPE = """((%(in_queues)s::text[] is null and %(in_tenants)s::text[] is null) or exists (
            select from @jobs own where own.job_id = d.job_id
                and (%(in_queues)s::text[] is null or own.queue = any(%(in_queues)s::text[]))
                and (%(in_tenants)s::text[] is null or own.tenant = any(%(in_tenants)s::text[]))))"""
#: The condition of a filter, on the table ``d``.
MATCHES = f"""(not %(open_only)s or d.resolved_at is null)
        and (%(dlq_ids)s::bigint[] is null or d.dlq_id = any(%(dlq_ids)s::bigint[]))
        and (%(job_type)s::text is null or d.job_type = %(job_type)s)
        and (%(error_type)s::text is null or d.error_type = %(error_type)s)
        and (%(fingerprints)s::text[] is null or d.fingerprint = any(%(fingerprints)s::text[]))
        and (%(failed_after)s::timestamptz is null or d.failed_at >= %(failed_after)s)
        and {IN_SCOPE}"""
EXAMPLE: dict[str, Any] = LetterFilter((1, 2), "shop.charge", "TimeoutError", ("f",), _NOW).parameters()

BURY_JOBS = Statement(
    "bury_jobs",
    """
    insert into @dead_letter_jobs (job_id, job_type, payload, error_type, error_message, retry_count, failed_at,
        last_execution_id, reason, fingerprint, attempt)
    select j.job_id, j.job_type, j.payload, r.error_type, r.error_message, j.retry_count,
        to_timestamp(r.completed_at), e.execution_id, r.reason, r.fingerprint, r.attempt
    from json_to_recordset(%(rows)s) as r(job_id uuid, attempt int, error_type text, error_message text,
        completed_at float8, reason text, fingerprint text)
    join @jobs j on j.job_id = r.job_id
    left join @job_executions e on e.job_id = r.job_id and e.attempt_number = r.attempt
    where not exists (select from @retry_decisions d
        where d.job_id = r.job_id and d.attempt = r.attempt and d.action = 'retry')
    on conflict (job_id, attempt) do nothing
    """,
    {"rows": "[]"},
)

LIST_DEAD_LETTERS = Statement(
    "list_dead_letters",
    f"""
    select d.dlq_id, d.job_id::text, d.job_type, d.error_type, left(d.error_message, 500) as error_message, d.reason,
        d.fingerprint, d.retry_count, d.attempt, d.failed_at, d.edited_at, d.resolution, d.resolved_at, d.replay_id
    from @dead_letter_jobs d
    where {MATCHES} and (%(before_id)s::bigint is null or d.dlq_id < %(before_id)s)
    order by d.dlq_id desc
    limit %(limit)s
    """,
    {**EXAMPLE, "before_id": 1000, "limit": 50},
)

COUNT_DEAD_LETTERS = Statement(
    "count_dead_letters",
    f"""
    select count(*)::int as letters from (select from @dead_letter_jobs d where {MATCHES} limit %(limit)s) as found
    """,
    {**EXAMPLE, "limit": 100},
)

SHOW_DEAD_LETTER = Statement(
    "show_dead_letter",
    """
    select d.dlq_id, d.job_id::text, d.job_type, d.payload, d.edited_payload, d.edited_by, d.edited_at, d.error_type,
        d.error_message, d.fingerprint, d.reason, d.retry_count, d.attempt, d.failed_at, d.last_execution_id,
        e.metrics->'death' as death, d.resolution, d.resolved_at, d.resolved_by, d.note, d.replay_id,
        d.replayed_attempt, (select json_agg(o.dlq_id order by o.attempt) from @dead_letter_jobs o
            where o.job_id = d.job_id and o.attempt < d.attempt) as earlier,
        (select json_agg(o.dlq_id order by o.attempt) from @dead_letter_jobs o
            where o.job_id = d.job_id and o.attempt > d.attempt) as later,
        case when j.message ? 'inputs' then true end as awaits, j.queue, j.tenant, j.message->'secret' as secret
    from @dead_letter_jobs d left join @jobs j on j.job_id = d.job_id
        left join @job_executions e on e.execution_id = d.last_execution_id
    where d.dlq_id = %(dlq_id)s
    """,
    {"dlq_id": 1},
)

LIST_PAYLOADS = Statement(
    "list_payloads",
    f"""
    select d.dlq_id, d.job_id::text, d.job_type, d.error_type, coalesce(d.edited_payload, d.payload) as payload,
        coalesce(j.message ? 'inputs', false) as awaits, j.status
    from @dead_letter_jobs d left join @jobs j on j.job_id = d.job_id
    where {MATCHES} and d.dlq_id > %(after_id)s
    order by d.dlq_id limit %(limit)s
    """,
    {**EXAMPLE, "after_id": 0, "limit": 500},
)

EDIT_PAYLOAD = Statement(
    "edit_payload",
    """
    update @dead_letter_jobs set edited_payload = %(payload)s::jsonb, edited_by = %(by)s, edited_at = now()
    where dlq_id = %(dlq_id)s and resolved_at is null
    """,
    {"dlq_id": 1, "payload": "{}", "by": "ann"},
)

APPLY_EDITS = Statement(
    "apply_edits",
    """
    update @jobs j set payload = d.edited_payload
    from (
        select distinct on (job_id) job_id, edited_payload from @dead_letter_jobs
        where job_id = any(%(job_ids)s::uuid[]) and resolved_at is null and edited_payload is not null
        order by job_id, attempt desc
    ) d
    where j.job_id = d.job_id and j.status in ('FAILED', 'CANCELLED')
    """,
    {"job_ids": [_ID]},
)

RESOLVE_REPLAYED = Statement(
    "resolve_replayed",
    """
    update @dead_letter_jobs d set resolution = 'replayed', resolved_at = now(), resolved_by = %(by)s,
        replay_id = %(replay_id)s, replayed_attempt = j.attempt
    from @jobs j
    where d.job_id = any(%(job_ids)s::uuid[]) and d.resolved_at is null and j.job_id = d.job_id
    """,
    {"job_ids": [_ID], "by": "ann", "replay_id": None},
)

RESOLVE_DEAD_LETTERS = Statement(
    "resolve_dead_letters",
    f"""
    update @dead_letter_jobs set resolution = 'resolved', resolved_at = now(), resolved_by = %(by)s, note = %(note)s
    where dlq_id in (select d.dlq_id from @dead_letter_jobs d where {MATCHES} order by d.dlq_id limit %(limit)s
        for update)
    returning dlq_id
    """,
    {**EXAMPLE, "by": "ann", "note": None, "limit": 1},
)

PRUNE_DEAD_LETTERS = Statement(
    "prune_dead_letters",
    """
    delete from @dead_letter_jobs where dlq_id in (
        select dlq_id from @dead_letter_jobs where resolved_at < %(before)s order by resolved_at limit %(limit)s
        for update skip locked
    )
    """,
    {"before": _NOW, "limit": 1},
)

COUNT_FORGOTTEN = Statement(
    "count_forgotten",
    """
    select count(*)::int as letters from (
        select from @dead_letter_jobs
        where resolved_at is null and failed_at < now() - make_interval(secs => %(days)s * 86400.0) limit %(cap)s
    ) as found
    """,
    {"days": 30.0, "cap": 1},
)


def bury(transaction: Transaction, rows: Sequence[Row]) -> int:
    """Record failed jobs as dead letters, each (job, attempt) once."""
    return transaction.count(BURY_JOBS, rows=json.dumps(rows)) if rows else 0


def listed(
    transaction: Transaction, chosen: LetterFilter, limit: int = 50, before_id: int | None = None
) -> Sequence[Row]:
    """List dead letters, newest first.

    :param before_id: the dlq_id of the last row of the page before this one.
    """
    return transaction.rows(LIST_DEAD_LETTERS, **chosen.parameters(), before_id=before_id, limit=limit)


def count(transaction: Transaction, chosen: LetterFilter, cap: int) -> int:
    """Count dead letters.

    :param cap: where counting stops; it means "as many or more".
    """
    return int(transaction.rows(COUNT_DEAD_LETTERS, **chosen.parameters(), limit=cap)[0]["letters"])


def show(transaction: Transaction, dlq_id: int) -> Row | None:
    """Read one dead letter whole, None when there is no such id.

    ``earlier`` and ``later`` name the other dead letters of its job; ``awaits`` says that its first argument is made of
    the results of other jobs.
    """
    return next(iter(transaction.rows(SHOW_DEAD_LETTER, dlq_id=dlq_id)), None)


def payloads(transaction: Transaction, chosen: LetterFilter, limit: int, after_id: int = 0) -> Sequence[Row]:
    """List what dead letters would run with, oldest first, and in which state their jobs are.

    ``awaits`` says that the first argument is made of the results of other jobs.

    :param after_id: the dlq_id of the last row of the page before this one.
    """
    return transaction.rows(LIST_PAYLOADS, **chosen.parameters(), after_id=after_id, limit=limit)


def edit(transaction: Transaction, dlq_id: int, payload: str, by: str) -> bool:
    """Keep another payload beside the one that failed, for the replay; tells whether the dead letter is open.

    :param payload: JSON text.
    """
    return transaction.count(EDIT_PAYLOAD, dlq_id=dlq_id, payload=payload, by=by) == 1


def replay(
    transaction: Transaction, job_ids: Sequence[str], by: str | None = None, replay_id: int | None = None
) -> list[str]:
    """Let ended jobs run once more, with the payloads that were edited, and resolve their dead letters.

    Returns the ids of those that do; see ``jobs.replay``.

    :param replay_id: the replay that they are part of.
    """
    transaction.count(APPLY_EDITS, job_ids=list(job_ids))
    replayed = jobs.replay(transaction, job_ids)
    transaction.count(RESOLVE_REPLAYED, job_ids=replayed, by=by, replay_id=replay_id)
    return replayed


def resolve(transaction: Transaction, chosen: LetterFilter, by: str, note: str | None, limit: int) -> list[int]:
    """Mark open dead letters as resolved without a run, the oldest first; returns which."""
    meant = replace(chosen, open_only=True).parameters()
    return [row["dlq_id"] for row in transaction.rows(RESOLVE_DEAD_LETTERS, **meant, by=by, note=note, limit=limit)]


def prune(transaction: Transaction, before: datetime, limit: int) -> int:
    """Delete dead letters that were resolved before a time; one that is open stays for ever."""
    return transaction.count(PRUNE_DEAD_LETTERS, before=before, limit=limit)


def count_forgotten(transaction: Transaction, days: float, cap: int = 100_000) -> int:
    """Count the open dead letters that are older than so many days.

    :param cap: where counting stops; it means "as many or more".
    """
    return int(transaction.rows(COUNT_FORGOTTEN, days=days, cap=cap)[0]["letters"])
