"""What is asked of jobs: a filter, one job whole, and how many there are in each state."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from jobplatform.states import State
from jobplatform.store.database import Transaction
from jobplatform.store.payload_path import PayloadTerm, as_jsonpath
from jobplatform.store.statement import Statement

Row = Mapping[str, Any]

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_ID = "00000000-0000-7000-8000-000000000000"


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs a list shows; None lets every job pass.

    ``created_after`` is inclusive and ``created_before`` exclusive; ``root_id`` selects a root job with all
    that it led to. ``error_texts`` all stand in the last error's message, and all of ``payload`` in the arguments.
    ``in_queues`` and ``in_tenants`` are the scope of who asks; nothing else is there for them.
    """

    states: tuple[str, ...] | None = None
    job_type: str | None = None
    queue: str | None = None
    tag: str | None = None
    tenant: str | None = None
    error_type: str | None = None
    error_texts: tuple[str, ...] | None = None
    payload: tuple[PayloadTerm, ...] | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    root_id: str | None = None
    batch_id: str | None = None
    in_queues: frozenset[str] | None = None
    in_tenants: frozenset[str] | None = None


_SCOPE = """(%(in_queues)s::text[] is null or queue = any(%(in_queues)s::text[]))
        and (%(in_tenants)s::text[] is null or tenant = any(%(in_tenants)s::text[]))"""
MATCHES = f"""{_SCOPE} and (%(states)s::text[] is null or status = any(%(states)s::text[]))
        and (%(job_type)s::text is null or job_type = %(job_type)s)
        and (%(queue)s::text is null or queue = %(queue)s)
        and (%(tag)s::text is null or tags @> array[%(tag)s::text])
        and (%(error_type)s::text is null or error_type = %(error_type)s)
        and (%(tenant)s::text is null or tenant = %(tenant)s)
        and (%(error_texts)s::text[] is null or error_message ilike all(%(error_texts)s::text[]))
        and (%(payload)s::jsonpath is null or jsonb_path_exists(payload, %(payload)s::jsonpath, '{{}}', true))
        and (%(created_after)s::timestamptz is null or created_at >= %(created_after)s)
        and (%(created_before)s::timestamptz is null or created_at < %(created_before)s)
        and (%(root_id)s::uuid is null or root_id = %(root_id)s::uuid or job_id = %(root_id)s::uuid)
        and (%(batch_id)s::uuid is null or batch_id = %(batch_id)s::uuid)
        and (%(before_time)s::timestamptz is null
            or (created_at, job_id) < (%(before_time)s::timestamptz, %(before_id)s::uuid))"""
EXAMPLE: dict[str, Any] = {
    "states": ["FAILED", "RETRYING"],
    "job_type": "shop.charge",
    "queue": "celery",
    "tag": "vip",
    "error_type": "TimeoutError",
    "tenant": "acme",
    "error_texts": ["%reset%"],
    "payload": '$ ? (@."args"[0] == 42)',
    "created_after": _NOW,
    "created_before": _NOW,
    "root_id": None,
    "batch_id": None,
    "in_queues": None,
    "in_tenants": None,
    "before_time": _NOW,
    "before_id": _ID,
    "limit": 50,
}

JOBS_WITHIN = Statement(
    "jobs_within",
    f"select job_id::text, status from @jobs where job_id = any(%(job_ids)s::uuid[]) and {_SCOPE}",
    {"job_ids": [_ID], "in_queues": ["celery"], "in_tenants": None},
)

COUNT_BY_STATE = Statement(
    "count_by_state",
    """
    select s.status, (
        select count(*) from (select from @jobs j where j.status = s.status limit %(cap)s) as counted
    ) as jobs
    from unnest(%(states)s::text[]) as s(status)
    """,
    {"states": ["PENDING", "FAILED"], "cap": 100},
)

SHOW_JOB = Statement(
    "show_job",
    """
    select job_id::text, job_type, status, priority, queue, attempt, retry_count, max_retries, payload,
        result, progress, error_type, error_message, fingerprint, worker_id, created_at, updated_at,
        scheduled_at, enqueued_at, due_at, started_at, completed_at, expires_at, deadline_at, timeout, soft_timeout,
        unique_key, tenant, limit_key, units, tags, retry_rule, hold_reason, hold_by, hold_until, batch_id::text,
        root_id::text, parent_id::text, duration_key, predicted_p10, predicted_p50, predicted_p90, predicted_by,
        message->'secret' as secret,
        (select r.of_job_id::text from @resubmissions r where r.job_id = j.job_id) as edited_from,
        (select array_agg(r.job_id::text order by r.at desc)
            from (select * from @resubmissions where of_job_id = j.job_id order by at desc limit 20) as r) as edited_as
    from @jobs j where j.job_id = %(job_id)s::uuid
    """,
    {"job_id": _ID},
)

READ_SERVER_VERSION = Statement(
    "read_server_version", "select current_setting('server_version_num')::int as version", {}
)


def within(
    transaction: Transaction, job_ids: Sequence[str], queues: Collection[str] | None, tenants: Collection[str] | None
) -> dict[str, str]:
    """Tell the state of those of some jobs that are of some queues and tenants; None is all of them."""
    scope = {"in_queues": _array(queues), "in_tenants": _array(tenants)}
    rows = transaction.rows(JOBS_WITHIN, job_ids=list(job_ids), **scope)
    return {row["job_id"]: row["status"] for row in rows}


def _array(values: Collection[str] | None) -> list[str] | None:
    return None if values is None else sorted(values)


def count_by_state(transaction: Transaction, cap: int = 100_000) -> dict[str, int]:
    """Count the jobs in each state.

    :param cap: where counting stops, since the cost must not grow with history; it means "as many or more".
    """
    rows = transaction.rows(COUNT_BY_STATE, states=[str(state) for state in State], cap=cap)
    return {row["status"]: row["jobs"] for row in rows}


def show_job(transaction: Transaction, job_id: str) -> Row | None:
    """Read one job whole, None when no row stands for the id."""
    return next(iter(transaction.rows(SHOW_JOB, job_id=job_id)), None)


def server_version(transaction: Transaction) -> int:
    """Ask PostgreSQL for its version: major times 10,000 plus minor."""
    return int(transaction.rows(READ_SERVER_VERSION)[0]["version"])


def parameters(filter: JobFilter, limit: int, before: tuple[datetime, str] | None) -> dict[str, Any]:
    """Give a filter as statements take it, for a page of so many rows after a place."""
    before_time, before_id = before or (None, None)
    values = {name: getattr(filter, name) for name in JobFilter.__dataclass_fields__}
    return {
        **values,
        "states": list(filter.states) if filter.states else None,
        "error_texts": [_containing(text) for text in filter.error_texts] if filter.error_texts else None,
        "payload": as_jsonpath(filter.payload or ()),
        "in_queues": _array(filter.in_queues),
        "in_tenants": _array(filter.in_tenants),
        "before_time": before_time,
        "before_id": before_id,
        "limit": limit,
    }


def _containing(text: str) -> str:
    return "%" + re.sub(r"([%_\\])", r"\\\1", text) + "%"
