"""Workflows, for people who look: the jobs of one root of which some wait for others."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from jobplatform.states import FINAL, states_sql
from jobplatform.store.database import Transaction
from jobplatform.store.statement import Statement

Row = Mapping[str, Any]

_ID = "00000000-0000-7000-8000-000000000000"
#: Roots that are looked at for one page, most of which may be no workflows.
LOOKED_AT = 1_000

_WITHIN = """coalesce((%(in_queues)s::text[] is null or j.queue = any(%(in_queues)s::text[]))
                and (%(in_tenants)s::text[] is null or j.tenant = any(%(in_tenants)s::text[])), false)"""

# Ids begin with their time, so the roots are read backwards out of their index, each once, however many jobs it has.
LIST_ROOTS = Statement(
    "list_roots",
    """
    with recursive roots as (
        (select root_id, 1 as place from @jobs
        where root_id is not null and (%(before)s::uuid is null or root_id < %(before)s::uuid)
        order by root_id desc limit 1)
        union all
        select n.root_id, r.place + 1 from roots r cross join lateral (
            select j.root_id from @jobs j where j.root_id < r.root_id order by j.root_id desc limit 1
        ) n
        where r.place < %(most)s
    )
    select root_id::text from roots order by place
    """,
    {"before": _ID, "most": 10},
)

COUNT_WORKFLOWS = Statement(
    "count_workflows",
    f"""
    select r.root_id::text, c.jobs, c.states, c.created_at, c.ended_at
    from unnest(%(root_ids)s::uuid[]) as r(root_id) cross join lateral (
        select sum(s.jobs)::int as jobs, json_object_agg(s.status, s.jobs) as states, min(s.created_at) as created_at,
            case when bool_and(s.status in {states_sql(FINAL)}) then max(s.ended_at) end as ended_at,
            bool_and(s.within) as within
        from (
            select j.status, count(*) as jobs, min(j.created_at) as created_at, max(j.completed_at) as ended_at,
                bool_and({_WITHIN}) as within
            from @jobs j where j.root_id = r.root_id group by j.status
        ) as s
    ) as c
    where c.jobs > 1 and c.within and exists (
        select from @jobs j join @job_dependencies d on d.job_id = j.job_id where j.root_id = r.root_id)
    order by r.root_id desc
    """,
    {"root_ids": [_ID], "in_queues": ["celery"], "in_tenants": None},
)

LIST_NODES = Statement(
    "list_nodes",
    f"""
    select j.job_id::text, j.job_type, j.status, j.queue, j.attempt, j.started_at, j.completed_at, j.error_type, array(
        select d.depends_on_job_id::text from @job_dependencies d where d.job_id = j.job_id order by d.dependency_id
    ) as after
    from @jobs j where j.root_id = %(root_id)s::uuid and {_WITHIN}
    order by j.job_id limit %(limit)s
    """,
    {"root_id": _ID, "in_queues": ["celery"], "in_tenants": None, "limit": 100},
)


def listed(
    transaction: Transaction,
    limit: int,
    before: str | None,
    queues: Collection[str] | None,
    tenants: Collection[str] | None,
) -> tuple[Sequence[Row], str | None]:
    """List workflows, the newest first, each with its jobs by state, and the root after which the next page begins.

    A page looks at ``LOOKED_AT`` roots at the most, so one that is not full may have another after it.

    :param before: the last root of the page before this one.
    :param queues: with ``tenants`` the scope of who asks, in which all jobs of a workflow are; None is everywhere.
    """
    roots = [row["root_id"] for row in transaction.rows(LIST_ROOTS, before=before, most=LOOKED_AT)]
    found: list[Row] = []
    for start in range(0, len(roots), limit + 1):
        part = roots[start : start + limit + 1]
        found += transaction.rows(COUNT_WORKFLOWS, root_ids=part, **_scope(queues, tenants))
        if len(found) > limit:
            return found[:limit], found[limit - 1]["root_id"]
    return found, roots[-1] if len(roots) == LOOKED_AT else None


def nodes(
    transaction: Transaction,
    root_id: str,
    limit: int,
    queues: Collection[str] | None,
    tenants: Collection[str] | None,
) -> Sequence[Row]:
    """List the jobs of a root that are in the scope of who asks, each with those that it waits for."""
    return transaction.rows(LIST_NODES, root_id=root_id, limit=limit, **_scope(queues, tenants))


def _scope(queues: Collection[str] | None, tenants: Collection[str] | None) -> dict[str, list[str] | None]:
    known = {"in_queues": queues, "in_tenants": tenants}
    return {name: None if values is None else sorted(values) for name, values in known.items()}
