"""How rows of ``jobs`` come to be."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from jobplatform.records import NewJob, row_of
from jobplatform.store import dependencies
from jobplatform.store.database import Transaction
from jobplatform.store.statement import Statement

# What nobody foretold when it was submitted, as by a running job, is foretold as it is written.
INSERT_JOBS = Statement(
    "insert_jobs",
    """
    insert into @jobs (job_id, job_type, status, priority, payload, retry_count, max_retries, scheduled_at, queue,
        attempt, enqueued_at, due_at, root_id, parent_id, timeout, soft_timeout, expires_at, tenant, tags,
        retry_rule, message, schedule_id, fire_at, unique_key, unique_scope, unique_until, deadline, deadline_at,
        limit_key, units, batch_id, duration_key, predicted_p10, predicted_p50, predicted_p90, predicted_by)
    select job_id, r.job_type, coalesce(status, 'PENDING'), coalesce(priority, 1), payload, coalesce(retry_count, 0),
        coalesce(max_retries, 5), to_timestamp(scheduled_at), queue, coalesce(attempt, 1),
        to_timestamp(enqueued_at), to_timestamp(due_at), root_id, parent_id, timeout, soft_timeout,
        to_timestamp(expires_at), tenant, tags, retry_rule, message, schedule_id, to_timestamp(fire_at),
        unique_key, unique_scope, to_timestamp(unique_until), deadline, to_timestamp(deadline_at), limit_key,
        coalesce(units, 1), batch_id, duration_key, coalesce(predicted_p10, e.p10), coalesce(predicted_p50, e.p50),
        coalesce(predicted_p90, e.p90), coalesce(predicted_by, e.decided_by)
    from json_to_recordset(%(rows)s) as r(job_id uuid, job_type text, status text, priority int, payload jsonb,
        retry_count int, max_retries int, scheduled_at float8, queue text, attempt int, enqueued_at float8,
        due_at float8, root_id uuid, parent_id uuid, timeout float8, soft_timeout float8, expires_at float8,
        tenant text, tags text[], retry_rule jsonb, message jsonb, schedule_id bigint, fire_at float8,
        unique_key text, unique_scope text, unique_until float8, deadline float8, deadline_at float8, limit_key text,
        units int, batch_id uuid, duration_key text, predicted_p10 real, predicted_p50 real, predicted_p90 real,
        predicted_by text)
    left join lateral (
        select p10, p50, p90, decided_by from @duration_estimates e
        where r.predicted_p50 is null and e.job_type = r.job_type and e.key in (coalesce(r.duration_key, ''), '')
        order by e.key desc limit 1
    ) e on true
    on conflict do nothing
    """,
    {"rows": "[]"},
)

#: How the values of a new job are written, by column; those that are null are left out.
_VALUES = {
    "job_id": "%(job_id)s::uuid",
    "job_type": "%(job_type)s",
    "status": "%(status)s",
    "priority": "%(priority)s",
    "payload": "%(payload)s::jsonb",
    "retry_count": "%(retry_count)s",
    "max_retries": "%(max_retries)s",
    "scheduled_at": "to_timestamp(%(scheduled_at)s)",
    "queue": "%(queue)s",
    "attempt": "%(attempt)s",
    "enqueued_at": "to_timestamp(%(enqueued_at)s)",
    "due_at": "to_timestamp(%(due_at)s)",
    "root_id": "%(root_id)s::uuid",
    "parent_id": "%(parent_id)s::uuid",
    "timeout": "%(timeout)s",
    "soft_timeout": "%(soft_timeout)s",
    "expires_at": "to_timestamp(%(expires_at)s)",
    "tenant": "%(tenant)s",
    "tags": "%(tags)s::text[]",
    "retry_rule": "%(retry_rule)s::jsonb",
    "message": "%(message)s::jsonb",
    "unique_key": "%(unique_key)s",
    "unique_scope": "%(unique_scope)s",
    "unique_until": "to_timestamp(%(unique_until)s)",
    "limit_key": "%(limit_key)s",
    "units": "coalesce(%(units)s, 1)",
    "deadline": "%(deadline)s",
    "deadline_at": "to_timestamp(%(deadline_at)s)",
    "batch_id": "%(batch_id)s::uuid",
    "duration_key": "%(duration_key)s",
    "predicted_p10": "%(predicted_p10)s",
    "predicted_p50": "%(predicted_p50)s",
    "predicted_p90": "%(predicted_p90)s",
    "predicted_by": "%(predicted_by)s",
}


#: What rows that are alike do not share.
_OWN = ("job_id", "payload")


def _insert_sql(columns: Iterable[str]) -> str:
    names = list(columns)
    values = ", ".join(_VALUES[name] for name in names)
    return f"insert into @jobs ({', '.join(names)}) values ({values}) on conflict do nothing"


def _insert_alike_sql(columns: Iterable[str]) -> str:
    shared = [name for name in columns if name not in _OWN]
    values = ", ".join(f"r.{name}" for name in _OWN) + "".join(f", {_VALUES[name]}" for name in shared)
    return f"""
    insert into @jobs ({", ".join((*_OWN, *shared))}) select {values}
    from json_to_recordset(%(rows)s) as r(job_id uuid, payload jsonb) on conflict do nothing
    """


_EXAMPLE = {
    **dict.fromkeys(_VALUES),
    "job_id": "00000000-0000-7000-8000-000000000000",
    "job_type": "t",
    "status": "PENDING",
    "priority": 1,
    "queue": "celery",
    "attempt": 1,
    "retry_count": 0,
    "max_retries": 5,
}

INSERT_JOB = Statement("insert_job", _insert_sql(_VALUES), _EXAMPLE)

INSERT_ALIKE = Statement(
    "insert_alike",
    _insert_alike_sql(name for name in _EXAMPLE if _EXAMPLE[name] is not None),
    {**_EXAMPLE, "rows": "[]"},
)


@cache
def _insert_job(columns: tuple[str, ...]) -> Statement:
    """Give the statement for these columns: PostgreSQL plans twenty nulls longer than it writes the row."""
    return Statement("insert_job", _insert_sql(columns), {}, registered=False)


@cache
def _insert_alike(columns: tuple[str, ...]) -> Statement:
    return Statement("insert_alike", _insert_alike_sql(columns), {}, registered=False)


def insert_one(transaction: Transaction, job: NewJob) -> int:
    """Write one new job with its edges; a row that is already there is left alone."""
    values = _written(job)
    written = transaction.count(_insert_job(tuple(values)), **values)
    if written and (job.after or job.before):
        dependencies.insert(transaction, f"[{row_of(job)}]")
    return written


def insert_alike(transaction: Transaction, like: NewJob, jobs: Iterable[tuple[str, str]]) -> int:
    """Write new jobs without edges that differ from one only in their id and payload; what is there is left alone.

    What they share is sent once. What was foretold of them is what the one says.

    :param jobs: pairs of job id and JSON text of the payload.
    """
    values = _written(like)
    text = ",".join(f'{{"job_id":"{job_id}","payload":{payload}}}' for job_id, payload in jobs)
    return transaction.count(_insert_alike(tuple(values)), **{**values, "rows": f"[{text}]"})


def _written(job: NewJob) -> dict[str, Any]:
    """Give the values of a job that are not null, by column."""
    values = {name: value for name in _VALUES if (value := getattr(job, name)) is not None}
    for name in ("retry_rule", "message"):
        if name in values:
            values[name] = json.dumps(values[name])
    if "tags" in values:
        values["tags"] = list(values["tags"])
    return values


def insert(transaction: Transaction, rows: Iterable[str], edges: bool = False) -> int:
    """Write new jobs; a row that is already there is left alone.

    :param rows: JSON texts as ``records.row_of`` makes them.
    :param edges: whether some of them wait for other jobs.
    """
    text = f"[{','.join(rows)}]"
    written = transaction.count(INSERT_JOBS, rows=text)
    if edges:
        dependencies.insert(transaction, text)
    return written


def insert_values(transaction: Transaction, rows: Sequence[Mapping[str, Any]]) -> int:
    """Write new jobs given as mappings, with the edges to what they wait for; what is already there is left alone."""
    return insert(transaction, map(json.dumps, rows), edges=any(row.get("after") or row.get("before") for row in rows))
