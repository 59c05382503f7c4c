"""The rows of ``breakers``, the jobs that they hold, and the job types that do not begin while they do."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from jobplatform.records import PLATFORM
from jobplatform.store.database import Transaction
from jobplatform.store.statement import Statement

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_CAUSE = "host:api.local"
#: Who pauses the job types that do nothing but fail.
BREAKER = "breaker"

LIST_BREAKERS = Statement(
    "list_breakers",
    """
    select cause, state, reason, opened_at, probe_at, probes, canary_at, job_types, forced, forced_by, closed_at,
        updated_at
    from @breakers
    where %(all)s or state <> 'closed' or forced is not null
    order by state = 'closed', opened_at desc limit %(limit)s
    """,
    {"all": False, "limit": 100},
)

SAVE_BREAKERS = Statement(
    "save_breakers",
    """
    insert into @breakers as b (cause, state, reason, opened_at, probe_at, probes, canary_at, job_types, closed_at)
    select r.cause, r.state, r.reason, to_timestamp(r.opened_at), to_timestamp(r.probe_at), r.probes,
        to_timestamp(r.canary_at), array(select json_array_elements_text(r.job_types)),
        case when r.state = 'closed' then now() end
    from json_to_recordset(%(rows)s) as r(cause text, state text, reason text, opened_at float8, probe_at float8,
        probes int, canary_at float8, job_types json)
    on conflict (cause) do update
    set state = excluded.state, reason = excluded.reason, opened_at = excluded.opened_at,
        probe_at = excluded.probe_at, probes = excluded.probes, canary_at = excluded.canary_at,
        job_types = excluded.job_types, closed_at = excluded.closed_at, updated_at = now()
    """,
    {"rows": "[]"},
)

FORCE_BREAKER = Statement(
    "force_breaker",
    """
    insert into @breakers (cause, state, reason, opened_at, forced, forced_by)
    values (%(cause)s, 'closed', %(reason)s, now(), %(forced)s, %(by)s)
    on conflict (cause) do update set forced = excluded.forced, forced_by = excluded.forced_by, updated_at = now()
    """,
    {"cause": _CAUSE, "reason": "", "forced": "open", "by": "me@host"},
)

PRUNE_BREAKERS = Statement(
    "prune_breakers",
    "delete from @breakers where state = 'closed' and forced is null and updated_at < %(before)s",
    {"before": _NOW},
)

COUNT_HELD = Statement(
    "count_held",
    """
    select gate as cause, count(*)::int as jobs from @jobs
    where gate is not null and status = 'RETRYING' and due_at > %(now)s group by gate
    """,
    {"now": _NOW},
)

COUNT_PARKED = Statement(
    "count_parked",
    f"""
    select job_type, count(*)::int as jobs from @jobs
    where job_type = any(%(job_types)s) and status = 'PAUSED' and hold_by = '{PLATFORM}' group by job_type
    """,
    {"job_types": ["shop.charge"]},
)

# A canary is the job that was tried least, so that no job is tried in vain more often than others.
RELEASE_HELD = Statement(
    "release_held",
    """
    with held as materialized (
        select job_id from @jobs
        where gate = %(cause)s and status = 'RETRYING' and due_at > %(now)s
        order by case when %(canary)s then attempt end, due_at limit %(limit)s for update skip locked
    )
    update @jobs as j set due_at = %(now)s, trial = true, updated_at = %(now)s
    from held where j.job_id = held.job_id and j.status = 'RETRYING'
    """,
    {"cause": _CAUSE, "now": _NOW, "canary": True, "limit": 1},
)

RELEASE_PARKED_TYPES = Statement(
    "release_parked_types",
    f"""
    with parked as materialized (
        select job_id from @jobs
        where job_type = any(%(job_types)s) and status = 'PAUSED' and hold_by = '{PLATFORM}'
        order by created_at limit %(limit)s for update skip locked
    )
    update @jobs as j
    set status = case when j.scheduled_at > %(now)s then 'SCHEDULED' else 'PENDING' end, attempt = j.attempt + 1,
        due_at = greatest(%(now)s, j.scheduled_at), trial = true, hold_reason = null, hold_by = null,
        updated_at = %(now)s
    from parked where j.job_id = parked.job_id and j.status = 'PAUSED'
    """,
    {"job_types": ["shop.charge"], "now": _NOW, "limit": 1},
)

HOLD_RETRYING = Statement(
    "hold_retrying",
    """
    update @jobs as j
    set gate = %(cause)s, updated_at = %(now)s,
        due_at = %(now)s + least(make_interval(secs => %(seconds)s), (j.deadline_at - %(now)s) * 0.9)
    from @retry_decisions d
    where j.status = 'RETRYING' and j.gate is null and j.due_at > %(now)s and j.updated_at > %(since)s
        and d.job_id = j.job_id and d.attempt = j.attempt and d.features is not null
        and coalesce(d.dependency, 'fingerprint:' || d.fingerprint) = %(cause)s
        and (j.deadline_at is null or j.deadline_at > %(now)s)
    """,
    {"cause": _CAUSE, "now": _NOW, "seconds": 60.0, "since": _NOW},
)

LET_GO = Statement(
    "let_go",
    """
    update @jobs set due_at = now(), updated_at = now()
    where gate is not null and status = 'RETRYING' and (%(causes)s::text[] is null or gate = any(%(causes)s::text[]))
    """,
    {"causes": [_CAUSE]},
)

# What a person has paused stays as it is.
HOLD_TYPES = Statement(
    "hold_types",
    f"""
    with wanted as (
        select * from json_to_recordset(%(rows)s) as r(name text, reason text)
    ), over as (
        delete from @pauses p where p.scope = 'type' and p.paused_by = '{BREAKER}'
            and not exists (select from wanted w where w.name = p.name)
    )
    insert into @pauses (scope, name, reason, paused_by) select 'type', name, reason, '{BREAKER}' from wanted
    on conflict (scope, name) do nothing
    """,
    {"rows": "[]"},
)


def list_breakers(transaction: Transaction, every: bool = False, limit: int = 1000) -> Sequence[Mapping[str, Any]]:
    """List breakers, those that hold something first.

    :param every: also those that are closed.
    """
    return transaction.rows(LIST_BREAKERS, all=every, limit=limit)


def save(transaction: Transaction, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write breakers as they are; what a person wants of them is left alone."""
    if rows:
        transaction.count(SAVE_BREAKERS, rows=json.dumps(rows))


def force(transaction: Transaction, cause: str, forced: str | None, by: str, reason: str) -> None:
    """Say what a breaker is to be: ``open``, ``closed``, or None for what it finds itself."""
    transaction.count(FORCE_BREAKER, cause=cause, forced=forced, by=by if forced else None, reason=reason)


def prune(transaction: Transaction, before: datetime) -> int:
    """Forget breakers that have been closed since before a time."""
    return transaction.count(PRUNE_BREAKERS, before=before)


def held(transaction: Transaction, now: datetime, job_types: Mapping[str, str]) -> Counter[str]:
    """Count the jobs that are held, by cause.

    :param job_types: those that do not begin, each with its cause.
    """
    counts = Counter({row["cause"]: row["jobs"] for row in transaction.rows(COUNT_HELD, now=now)})
    for row in transaction.rows(COUNT_PARKED, job_types=sorted(job_types)) if job_types else ():
        counts[job_types[row["job_type"]]] += row["jobs"]
    return counts


def release(
    transaction: Transaction,
    cause: str,
    job_types: Sequence[str],
    now: datetime,
    limit: int,
    canary: bool = False,
    begun: bool = True,
) -> int:
    """Let jobs go on that are held for a cause; returns how many.

    :param job_types: those that do not begin because of it.
    :param begun: those first that failed of it, rather than those that never began.
    """
    released = 0 if begun else _release_parked(transaction, job_types, now, limit)
    released += transaction.count(RELEASE_HELD, cause=cause, now=now, limit=limit - released, canary=canary)
    return released + _release_parked(transaction, job_types, now, limit - released)


def _release_parked(transaction: Transaction, job_types: Sequence[str], now: datetime, limit: int) -> int:
    if not job_types or not limit:
        return 0
    return transaction.count(RELEASE_PARKED_TYPES, job_types=list(job_types), now=now, limit=limit)


def hold_retrying(transaction: Transaction, cause: str, now: datetime, since: datetime, seconds: float) -> int:
    """Hold the jobs that failed of a cause before its breaker opened, and wait for their next attempt.

    :param since: failures before are left alone.
    :param seconds: how long they are held at most.
    """
    return transaction.count(HOLD_RETRYING, cause=cause, now=now, since=since, seconds=seconds)


def let_go(transaction: Transaction, causes: Sequence[str] | None = None) -> int:
    """Let all jobs go on that are held for some causes, or for any if None."""
    return transaction.count(LET_GO, causes=None if causes is None else list(causes))


def hold_types(transaction: Transaction, reasons: Mapping[str, str]) -> None:
    """Let no job of these types begin, and jobs of all others that a breaker held."""
    rows = [{"name": name, "reason": reason} for name, reason in sorted(reasons.items())]
    transaction.count(HOLD_TYPES, rows=json.dumps(rows))
