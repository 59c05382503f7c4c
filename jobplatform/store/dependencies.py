"""The edges between jobs: which wait for which, and what becomes of those that wait when one ends.

An edge is settled once, by whoever sees first that the job it starts from has ended; a job is released once, by
whoever settles its last edge. Two that settle edges of one job at the same time meet at its row, which they lock before
they look at what is left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any

from jobplatform.states import FINAL, states_sql
from jobplatform.store.cancellations import count_sql
from jobplatform.store.database import Transaction
from jobplatform.store.statement import Statement

_ID = "00000000-0000-7000-8000-000000000000"
_HELD = "a job that it depends on did not complete"

# Edges from a job that is written together with them are watched from the first: nobody can end it before.
INSERT_EDGES = Statement(
    "insert_edges",
    """
    with rows as materialized (
        select job_id, coalesce(after, '[]') as after from json_to_recordset(%(rows)s) as r(job_id uuid, after json)
    )
    insert into @job_dependencies (job_id, depends_on_job_id, dependency_type, on_failure, watched)
    select rows.job_id, (edge->>0)::uuid, edge->>1, edge->>2,
        exists (select from rows as other where other.job_id = (edge->>0)::uuid)
    from rows, json_array_elements(rows.after) as edge
    on conflict (job_id, depends_on_job_id) do nothing
    """,
    {"rows": "[]"},
)

# What waits for a running job waits for what it adds as well, and cannot have been let go yet.
GRAFT_EDGES = Statement(
    "graft_edges",
    """
    insert into @job_dependencies (job_id, depends_on_job_id, dependency_type, on_failure, watched)
    select d.job_id, r.job_id, d.dependency_type, d.on_failure, true
    from json_to_recordset(%(rows)s) as r(job_id uuid, before uuid)
    join @job_dependencies as d on d.depends_on_job_id = r.before and d.outcome is null
    on conflict (job_id, depends_on_job_id) do nothing
    """,
    {"rows": "[]"},
)

# An edge that asks for success is met by COMPLETED, one that asks for failure by the others, one that asks for an end
# by all; what is not met counts as if it were when the edge says so.
SETTLE_EDGES = Statement(
    "settle_edges",
    f"""
    update @job_dependencies as d
    set outcome = case
        when d.dependency_type = 'finished' or d.on_failure = 'continue' then 'met'
        when (d.dependency_type = 'failure') <> (u.status = 'COMPLETED') then 'met'
        else 'unmet' end
    from @jobs as u
    where d.depends_on_job_id = any(%(job_ids)s::uuid[]) and d.outcome is null and u.job_id = d.depends_on_job_id
        and u.status in {states_sql(FINAL)}
    returning d.job_id::text
    """,
    {"job_ids": [_ID]},
)

# An edge from a job that never came is settled as if that had failed; an edge that is watched has a row to start from.
SETTLE_MISSING = Statement(
    "settle_missing",
    """
    update @job_dependencies as d
    set outcome = case when d.dependency_type in ('finished', 'failure') or d.on_failure = 'continue'
            then 'met' else 'unmet' end,
        reason = format('no row stood for job %%s within %%s s', d.depends_on_job_id,
            extract(epoch from %(patience)s::interval)::bigint)
    where d.job_id = any(%(job_ids)s::uuid[]) and d.outcome is null and not d.watched
        and d.created_at <= now() - %(patience)s::interval
        and not exists (select from @jobs u where u.job_id = d.depends_on_job_id)
    """,
    {"job_ids": [_ID], "patience": timedelta(hours=1)},
)

LOCK_BLOCKED = Statement(
    "lock_blocked",
    """
    select job_id::text from @jobs where job_id = any(%(job_ids)s::uuid[]) and status = 'BLOCKED'
    order by job_id for update
    """,
    {"job_ids": [_ID]},
)

# The least of what the edges of a job ask for: to cancel it, to hold it, to wait, or to let it go.
RELEASE_BLOCKED = Statement(
    "release_blocked",
    f"""
    with ripe as materialized (
        select b.job_id, case
            when exists (select from @job_dependencies d where d.job_id = b.job_id and d.outcome = 'unmet'
                and (d.on_failure = 'cancel' or d.dependency_type = 'failure')) then 'cancel'
            when exists (select from @job_dependencies d where d.job_id = b.job_id and d.outcome is null) then 'wait'
            when exists (select from @job_dependencies d where d.job_id = b.job_id and d.outcome = 'unmet') then 'hold'
            else 'release' end as step
        from unnest(%(job_ids)s::uuid[]) as b(job_id)
    ), released as (
    update @jobs as j
    set status = case ripe.step when 'cancel' then 'CANCELLED' when 'hold' then 'PAUSED'
            else case when j.scheduled_at > now() then 'SCHEDULED' else 'PENDING' end end,
        due_at = case ripe.step when 'release' then greatest(now(), j.scheduled_at) end,
        completed_at = case ripe.step when 'cancel' then now() end,
        error_type = case ripe.step when 'cancel' then 'DependencyUnmet' else j.error_type end,
        error_message = case when ripe.step <> 'cancel' then j.error_message else coalesce(
            (select d.reason from @job_dependencies d
                where d.job_id = j.job_id and d.outcome = 'unmet' and d.reason is not null limit 1),
            'a job that it depends on has ended otherwise than it asks for') end,
        hold_reason = case ripe.step when 'hold' then %(held)s end,
        hold_by = case ripe.step when 'hold' then 'platform' end,
        updated_at = now()
    from ripe where j.job_id = ripe.job_id and j.status = 'BLOCKED' and ripe.step <> 'wait'
    returning j.job_id::text, ripe.step, j.job_type, j.queue
    ), counted as ({count_sql("released where step = 'cancel'")})
    select job_id, step from released
    """,
    {"job_ids": [_ID], "held": ""},
)

LIST_UNEXAMINED = Statement(
    "list_unexamined",
    """
    select job_id::text from @jobs where status = 'BLOCKED' and due_at <= now()
        and coalesce(least(expires_at, deadline_at) > now(), true) order by due_at limit %(limit)s
    """,
    {"limit": 100},
)

# Whoever ends a job holds its row, and is passed over rather than waited for: it may wait for another row of ours.
LOCK_AWAITED = Statement(
    "lock_awaited",
    """
    select job_id::text from @jobs where job_id in (select depends_on_job_id from @job_dependencies
        where job_id = any(%(job_ids)s::uuid[]) and outcome is null and not watched)
    for share skip locked
    """,
    {"job_ids": [_ID]},
)

WATCH_EDGES = Statement(
    "watch_edges",
    """
    update @job_dependencies set watched = true
    where job_id = any(%(job_ids)s::uuid[]) and depends_on_job_id = any(%(awaited)s::uuid[]) and not watched
    """,
    {"job_ids": [_ID], "awaited": [_ID]},
)

POSTPONE_BLOCKED = Statement(
    "postpone_blocked",
    """
    update @jobs as j
    set due_at = case when exists (select from @job_dependencies d
        where d.job_id = j.job_id and d.outcome is null and not d.watched) then now() + %(again_after)s
        else least(j.expires_at, j.deadline_at) end
    where j.job_id = any(%(job_ids)s::uuid[]) and j.status = 'BLOCKED'
    """,
    {"job_ids": [_ID], "again_after": timedelta(seconds=1)},
)


# What was cancelled or held as a job did not complete waits for it again, and what waits for that, and so on.
AWAIT_AGAIN = Statement(
    "await_again",
    """
    with recursive again as (
        select unnest(%(job_ids)s::uuid[]) as job_id
        union
        select d.job_id from again join @job_dependencies d on d.depends_on_job_id = again.job_id
            join @jobs j on j.job_id = d.job_id
        where (j.status = 'CANCELLED' and j.error_type = 'DependencyUnmet')
            or (j.status = 'PAUSED' and j.hold_reason = %(held)s) or j.status = 'BLOCKED'
    ), reopened as (
        update @job_dependencies d set outcome = null, reason = null
        from again a, again b
        where d.depends_on_job_id = a.job_id and d.job_id = b.job_id and d.outcome is not null
        returning d.job_id
    )
    update @jobs as j set status = 'BLOCKED', completed_at = null, error_type = null, error_message = null,
        expires_at = case when j.expires_at > now() then j.expires_at end,
        deadline_at = now() + make_interval(secs => j.deadline),
        due_at = least(case when j.expires_at > now() then j.expires_at end, now() + make_interval(secs => j.deadline)),
        hold_reason = null, hold_by = null, updated_at = now()
    where j.job_id in (select job_id from reopened) and j.status in ('CANCELLED', 'PAUSED')
    returning j.job_id::text
    """,
    {"job_ids": [_ID], "held": ""},
)

LIST_UPSTREAM = Statement(
    "list_upstream",
    """
    select u.job_id::text, u.job_type, u.status, u.result, u.error_type, u.error_message
    from @job_dependencies d join @jobs u on u.job_id = d.depends_on_job_id
    where d.job_id = %(job_id)s::uuid order by d.dependency_id
    """,
    {"job_id": _ID},
)


def insert(transaction: Transaction, rows: str) -> int:
    """Write the edges to and from new jobs; one that is there already is left alone.

    :param rows: a JSON array of rows as ``records.row_of`` makes them.
    """
    return transaction.count(INSERT_EDGES, rows=rows) + transaction.count(GRAFT_EDGES, rows=rows)


def upstream(transaction: Transaction, job_id: str) -> Sequence[Mapping[str, Any]]:
    """List the jobs that a job has waited for, in the order in which it named them, and what became of them."""
    return transaction.rows(LIST_UPSTREAM, job_id=job_id)


def settle(transaction: Transaction, ended: Collection[str]) -> dict[str, int]:
    """Settle the edges that start from jobs which have ended, and let go what waits for nothing more.

    What is cancelled for an edge that is unmet has ended as well, and so on.

    :returns: how many jobs were released, held and cancelled.
    """
    counts: dict[str, int] = {}
    while ended:
        waiting = {row["job_id"] for row in transaction.rows(SETTLE_EDGES, job_ids=list(ended))}
        steps = _release(transaction, sorted(waiting)) if waiting else {}
        for step in steps.values():
            counts[step] = counts.get(step, 0) + 1
        ended = [job_id for job_id, step in steps.items() if step == "cancel"]
    return counts


def examine(transaction: Transaction, limit: int, again_after: timedelta, patience: timedelta) -> dict[str, int]:
    """Look once at what new edges start from, as it may have ended before they were there.

    Either this look sees the end, as it holds the row that it looks at, or whoever ends the job later sees the edge.
    What cannot be looked at now, as its row is held or not there yet, is looked at again; one that does not come counts
    as failed.

    :param limit: jobs at once.
    :param again_after: until what could not be looked at is looked at again.
    :param patience: for how long an edge waits for the row that it starts from.
    :returns: how many jobs were looked at, released, held and cancelled, and how many edges start from a missing one.
    """
    blocked = [row["job_id"] for row in transaction.rows(LIST_UNEXAMINED, limit=limit)]
    if not blocked:
        return {}
    awaited = [row["job_id"] for row in transaction.rows(LOCK_AWAITED, job_ids=blocked)]
    transaction.count(WATCH_EDGES, job_ids=blocked, awaited=awaited)
    counts = Counter(
        examined=len(blocked), missing=transaction.count(SETTLE_MISSING, job_ids=blocked, patience=patience)
    )
    counts.update(settle(transaction, awaited))
    steps = _release(transaction, sorted(blocked))
    counts.update(steps.values())
    counts.update(settle(transaction, [job_id for job_id, step in steps.items() if step == "cancel"]))
    transaction.count(POSTPONE_BLOCKED, job_ids=blocked, again_after=again_after)
    return +counts


def await_again(transaction: Transaction, replayed: Collection[str]) -> list[str]:
    """Let what depends on jobs that run once more wait for them again; returns what was cancelled or held for them."""
    rows = transaction.rows(AWAIT_AGAIN, job_ids=list(replayed), held=_HELD) if replayed else []
    return [row["job_id"] for row in rows]


def _release(transaction: Transaction, job_ids: Sequence[str]) -> dict[str, str]:
    locked = [row["job_id"] for row in transaction.rows(LOCK_BLOCKED, job_ids=list(job_ids))]
    rows = transaction.rows(RELEASE_BLOCKED, job_ids=locked, held=_HELD) if locked else []
    return {row["job_id"]: row["step"] for row in rows}
