"""Which jobs hang together by dependencies, for people who look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jobplatform.store.database import Transaction
from jobplatform.store.statement import Statement

_ID = "01890a5d-ac96-774b-bcce-b302099a8057"

LIST_GRAPH = Statement(
    "list_graph",
    """
    with recursive graph as (
        select %(job_id)s::uuid as job_id
        union
        select e.job_id from graph g cross join lateral (
            select depends_on_job_id as job_id from @job_dependencies where job_id = g.job_id
            union all
            select job_id from @job_dependencies where depends_on_job_id = g.job_id
        ) e
    )
    select j.job_id::text, j.job_type, j.status, j.started_at, j.completed_at, j.error_type, array(
        select d.depends_on_job_id::text from @job_dependencies d where d.job_id = j.job_id order by d.dependency_id
    ) as after
    from (select job_id from graph limit %(limit)s) g join @jobs j using (job_id)
    """,
    {"job_id": _ID, "limit": 100},
)

LIST_EDGES = Statement(
    "list_edges",
    """
    select d.job_id::text, d.depends_on_job_id::text, d.dependency_type as policy, d.on_failure, d.outcome, d.reason,
        other.status, other.job_type
    from @job_dependencies d
    left join @jobs other
        on other.job_id = case when d.job_id = %(job_id)s::uuid then d.depends_on_job_id else d.job_id end
    where d.job_id = %(job_id)s::uuid or d.depends_on_job_id = %(job_id)s::uuid
    order by d.dependency_id limit %(limit)s
    """,
    {"job_id": _ID, "limit": 100},
)


def of_job(transaction: Transaction, job_id: str, limit: int) -> Sequence[Mapping[str, Any]]:
    """List the jobs that a job waits for, or that wait for it, and so on, each with those that it waits for.

    :param limit: jobs at most.
    """
    return transaction.rows(LIST_GRAPH, job_id=job_id, limit=limit)


def edges_of(transaction: Transaction, job_id: str, limit: int) -> Sequence[Mapping[str, Any]]:
    """List the edges to and from a job, with what is known of the job at their other end.

    :param limit: edges at most.
    """
    return transaction.rows(LIST_EDGES, job_id=job_id, limit=limit)
