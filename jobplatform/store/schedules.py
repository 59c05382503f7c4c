"""The rows of ``job_schedules``."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from jobplatform.states import UNFINISHED, states_sql
from jobplatform.store.database import Transaction
from jobplatform.store.pauses import Hold
from jobplatform.store.statement import Statement

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
#: Who holds schedules whose code is gone.
_PLATFORM = "platform"
_PLANNED = """schedule_id, name, job_type, cron_expression, timezone, payload_template, priority, queue, next_run,
        misfire, misfire_grace, misfire_window, misfire_cap, overlap, jitter, spread"""

CLAIM_SCHEDULES = Statement(
    "claim_schedules",
    f"""
    select {_PLANNED} from @job_schedules where enabled and next_run <= %(now)s
    order by next_run limit %(limit)s for update skip locked
    """,
    {"now": _NOW, "limit": 1},
)

CLAIM_UNPLANNED = Statement(
    "claim_unplanned",
    f"""
    select {_PLANNED} from @job_schedules where enabled and next_run is null
    limit %(limit)s for update skip locked
    """,
    {"limit": 1},
)

PUT_PLANS = Statement(
    "put_plans",
    """
    update @job_schedules as s
    set next_run = to_timestamp(r.next_run), last_run = coalesce(to_timestamp(r.last_run), s.last_run),
        skipped = s.skipped + r.skipped, problem = r.problem, enabled = r.problem is null
    from json_to_recordset(%(plans)s) as r(schedule_id bigint, next_run float8, last_run float8, skipped int,
        problem text)
    where s.schedule_id = r.schedule_id
    """,
    {"plans": "[]"},
)

FIND_NEXT_RUN = Statement(
    "find_next_run",
    "select next_run from @job_schedules where enabled and next_run is not null order by next_run limit 1",
    {},
)

LIST_UNFINISHED_FIRES = Statement(
    "list_unfinished_fires",
    f"""
    select schedule_id, array_agg(job_id::text order by fire_at) as job_ids,
        coalesce(array_agg(job_id::text order by fire_at) filter (where status = 'BLOCKED'), '{{}}') as buffered
    from @jobs where schedule_id = any(%(schedule_ids)s::bigint[]) and status in {states_sql(UNFINISHED)} group by 1
    """,
    {"schedule_ids": [1]},
)

_FIELDS = """name, job_type, cron_expression, timezone, payload_template, priority, queue, misfire, misfire_grace,
        misfire_window, misfire_cap, overlap, jitter, spread"""
_RECORD = """name text, job_type text, cron_expression text, timezone text, payload_template jsonb, priority int,
        queue text, misfire text, misfire_grace float8, misfire_window float8, misfire_cap int, overlap text,
        jitter float8, spread float8"""
_CHANGES = ", ".join(f"{name.strip()} = excluded.{name.strip()}" for name in _FIELDS.split(",")[1:])

PUT_SCHEDULES = Statement(
    "put_schedules",
    f"""
    insert into @job_schedules as s ({_FIELDS}, origin)
    select {_FIELDS}, %(origin)s from json_to_recordset(%(rows)s) as r({_RECORD})
    on conflict (name) do update set {_CHANGES}, updated_at = now()
    where s.origin = excluded.origin
    returning name
    """,
    {"rows": "[]", "origin": "hand"},
)

# What code declares and was held as its code was gone fires again; what was held by hand stays held.
RESTORE_DECLARED = Statement(
    "restore_declared",
    """
    update @job_schedules set enabled = true, hold_reason = null, hold_by = null, next_run = null, updated_at = now()
    where origin = 'code' and name = any(%(names)s::text[]) and hold_by = %(by)s
    """,
    {"names": ["nightly"], "by": "platform"},
)

HOLD_UNDECLARED = Statement(
    "hold_undeclared",
    """
    update @job_schedules set enabled = false, hold_reason = 'no code declares it any more', hold_by = %(by)s,
        updated_at = now()
    where origin = 'code' and enabled and name <> all(%(names)s::text[]) returning name
    """,
    {"names": ["nightly"], "by": "platform"},
)

LIST_SCHEDULES = Statement(
    "list_schedules",
    """
    select s.*, (select t.options from @job_types t where t.name = s.job_type) as options from @job_schedules s
    where (%(names)s::text[] is null or name = any(%(names)s::text[])) and name > %(after)s
        and (%(queues)s::text[] is null or queue = any(%(queues)s::text[]))
    order by name limit %(limit)s
    """,
    {"names": None, "after": "", "queues": ["celery"], "limit": 100},
)

DELETE_SCHEDULES = Statement(
    "delete_schedules",
    "delete from @job_schedules where name = any(%(names)s::text[]) returning name",
    {"names": ["nightly"]},
)

LIST_FIRES = Statement(
    "list_fires",
    """
    select job_id::text, fire_at, status, started_at, completed_at, error_type from @jobs
    where schedule_id = %(schedule_id)s order by fire_at desc limit %(limit)s
    """,
    {"schedule_id": 1, "limit": 5},
)

MEASURE_DURATIONS = Statement(
    "measure_durations",
    """
    select t.job_type, percentile_cont(0.95) within group (order by r.run) as seconds
    from (select distinct job_type from @job_schedules) as t, lateral (
        select extract(epoch from completed_at - started_at)::float8 as run from @jobs j
        where j.job_type = t.job_type and j.status = 'COMPLETED' and j.started_at is not null limit 200) as r
    group by 1
    """,
    {},
)

HOLD_SCHEDULES = Statement(
    "hold_schedules",
    """
    update @job_schedules set enabled = false, hold_reason = %(reason)s, hold_by = %(by)s, hold_until = %(until)s,
        updated_at = now()
    where name = any(%(names)s::text[]) returning name
    """,
    {"names": ["nightly"], "reason": "", "by": "", "until": _NOW},
)

RESUME_SCHEDULES = Statement(
    "resume_schedules",
    """
    update @job_schedules set enabled = true, hold_reason = null, hold_by = null, hold_until = null, problem = null,
        updated_at = now()
    where name = any(%(names)s::text[]) and not enabled returning name
    """,
    {"names": ["nightly"]},
)

RESUME_DUE_SCHEDULES = Statement(
    "resume_due_schedules",
    """
    update @job_schedules set enabled = true, hold_reason = null, hold_by = null, hold_until = null, updated_at = now()
    where hold_until <= %(now)s and not enabled and problem is null returning name
    """,
    {"now": _NOW},
)


def claim_due(transaction: Transaction, now: datetime, limit: int) -> Sequence[Mapping[str, Any]]:
    """Lock schedules whose next time has come, the longest due first, passing over those that others have locked."""
    return transaction.rows(CLAIM_SCHEDULES, now=now, limit=limit)


def claim_unplanned(transaction: Transaction, limit: int) -> Sequence[Mapping[str, Any]]:
    """Lock schedules that are new, or say something else than before."""
    return transaction.rows(CLAIM_UNPLANNED, limit=limit)


def put_plans(transaction: Transaction, plans: Sequence[Mapping[str, Any]]) -> int:
    """Write when schedules fire next; one with a problem is disabled."""
    return transaction.count(PUT_PLANS, plans=json.dumps(plans)) if plans else 0


def next_run(transaction: Transaction) -> datetime | None:
    """Tell when the first schedule is due."""
    rows = transaction.rows(FIND_NEXT_RUN)
    return rows[0]["next_run"] if rows else None


def unfinished(transaction: Transaction, schedule_ids: Sequence[int]) -> dict[int, Mapping[str, Any]]:
    """List the jobs of schedules that have not ended, and those of them that wait for the end of others."""
    rows = transaction.rows(LIST_UNFINISHED_FIRES, schedule_ids=list(schedule_ids))
    return {row["schedule_id"]: row for row in rows}


def put(transaction: Transaction, rows: Sequence[Mapping[str, Any]], origin: str = "hand") -> set[str]:
    """Write schedules, or change those of the same names; those of another origin are left alone.

    :returns: the names of those that were written.
    """
    written = transaction.rows(PUT_SCHEDULES, rows=json.dumps(rows), origin=origin)
    return {row["name"] for row in written}


def put_declared(transaction: Transaction, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Write all schedules that code declares, and hold those that it declares no more; returns the names of these."""
    names = sorted(put(transaction, rows, "code"))
    transaction.count(RESTORE_DECLARED, names=names, by=_PLATFORM)
    return [row["name"] for row in transaction.rows(HOLD_UNDECLARED, names=names, by=_PLATFORM)]


def hold(transaction: Transaction, names: Sequence[str], held: Hold) -> list[str]:
    """Let schedules fire no more; returns which there are."""
    rows = transaction.rows(HOLD_SCHEDULES, names=list(names), reason=held.reason, by=held.by, until=held.until)
    return [row["name"] for row in rows]


def resume(transaction: Transaction, names: Sequence[str]) -> list[str]:
    """Let schedules fire again; what they missed is made up for as each says."""
    return [row["name"] for row in transaction.rows(RESUME_SCHEDULES, names=list(names))]


def resume_due(transaction: Transaction, now: datetime) -> list[str]:
    """Let schedules fire again whose hold has ended; returns their names."""
    return [row["name"] for row in transaction.rows(RESUME_DUE_SCHEDULES, now=now)]


def listed(
    transaction: Transaction,
    names: Sequence[str] | None,
    limit: int,
    after: str = "",
    queues: Collection[str] | None = None,
) -> list[dict[str, Any]]:
    """List schedules by name; ``options`` are those of their job types, None where nobody has told of one.

    :param names: None for all.
    :param after: the last name of the page before.
    :param queues: of which they are; None for all.
    """
    chosen, scope = (None if each is None else sorted(each) for each in (names, queues))
    rows = transaction.rows(LIST_SCHEDULES, names=chosen, after=after, queues=scope, limit=limit)
    return [dict(row) for row in rows]


def remove(transaction: Transaction, names: Sequence[str]) -> list[str]:
    """Delete schedules; their jobs stay. Returns which there were."""
    return [row["name"] for row in transaction.rows(DELETE_SCHEDULES, names=list(names))]


def fires(transaction: Transaction, schedule_id: int, limit: int) -> Sequence[Mapping[str, Any]]:
    """List the last jobs of a schedule, the latest fire first."""
    return transaction.rows(LIST_FIRES, schedule_id=schedule_id, limit=limit)


def durations(transaction: Transaction) -> dict[str, float]:
    """Tell how long the jobs of the types that have schedules run: the 95th percentile in seconds, by type."""
    return {row["job_type"]: row["seconds"] for row in transaction.rows(MEASURE_DURATIONS)}
