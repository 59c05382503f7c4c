"""Dead letters on their way out of one installation and into another; each is one line of JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from jobplatform.store.database import Transaction
from jobplatform.store.dead_letters import EXAMPLE, MATCHES, LetterFilter
from jobplatform.store.statement import Statement

# PostgreSQL writes the lines, so that no number loses a digit on its way. The results of other jobs that a job takes
# are written in, as those jobs are not there.
EXPORT_LETTERS = Statement(
    "export_letters",
    f"""
    select d.dlq_id, (to_jsonb(d) || jsonb_build_object('version', 1, 'job', case when j.job_id is not null then
        jsonb_build_object('queue', j.queue, 'priority', j.priority, 'max_retries', j.max_retries,
            'created_at', j.created_at, 'timeout', j.timeout, 'soft_timeout', j.soft_timeout, 'deadline', j.deadline,
            'tenant', j.tenant, 'limit_key', j.limit_key, 'units', j.units, 'tags', j.tags,
            'retry_rule', j.retry_rule, 'message', j.message - 'inputs', 'root_id', j.root_id,
            'parent_id', j.parent_id)
        end) || case when i.value is null then '{{}}' else jsonb_build_object(
            'payload', jsonb_set(d.payload, '{{args,0}}', i.value),
            'edited_payload', jsonb_set(d.edited_payload, '{{args,0}}', i.value)) end)::text as line
    from @dead_letter_jobs d left join @jobs j on j.job_id = d.job_id left join lateral (
        select case when (j.message->'inputs'->>'each')::boolean
            then coalesce(jsonb_agg(u.result order by o.place)->0, 'null') else jsonb_agg(u.result order by o.place)
            end as value
        from jsonb_array_elements_text(j.message->'inputs'->'of') with ordinality as o(id, place)
            left join @jobs u on u.job_id = o.id::uuid
    ) i on j.message ? 'inputs'
    where {MATCHES} and d.dlq_id > %(after_id)s
    order by d.dlq_id limit %(limit)s
    """,
    {**EXAMPLE, "after_id": 0, "limit": 500},
)

IMPORT_JOBS = Statement(
    "import_jobs",
    """
    insert into @jobs (job_id, job_type, status, payload, retry_count, attempt, completed_at, error_type,
        error_message, fingerprint, queue, priority, max_retries, created_at, timeout, soft_timeout, deadline, tenant,
        limit_key, units, tags, retry_rule, message, root_id, parent_id)
    select distinct on (r.job_id) r.job_id, r.job_type, 'FAILED', r.payload, r.retry_count, r.attempt, r.failed_at,
        r.error_type, r.error_message, r.fingerprint, coalesce(j.queue, 'celery'), coalesce(j.priority, 1),
        coalesce(j.max_retries, 5), coalesce(j.created_at, r.failed_at), j.timeout, j.soft_timeout, j.deadline,
        j.tenant, j.limit_key, coalesce(j.units, 1), j.tags, j.retry_rule, j.message, j.root_id, j.parent_id
    from jsonb_to_recordset(%(rows)s::jsonb) as r(job_id uuid, job_type text, payload jsonb, retry_count int,
        attempt int, failed_at timestamptz, error_type text, error_message text, fingerprint text,
        resolved_at timestamptz, job jsonb),
    jsonb_to_record(coalesce(nullif(r.job, 'null'), '{}')) as j(queue text, priority int, max_retries int,
        created_at timestamptz, timeout float8, soft_timeout float8, deadline float8, tenant text, limit_key text,
        units int, tags text[], retry_rule jsonb, message jsonb, root_id uuid, parent_id uuid)
    where r.resolved_at is null
    order by r.job_id, r.attempt desc
    on conflict (job_id) do nothing
    """,
    {"rows": "[]"},
)

# Runs and replays have numbers of their own in each installation.
IMPORT_LETTERS = Statement(
    "import_letters",
    """
    insert into @dead_letter_jobs (job_id, job_type, payload, error_type, error_message, retry_count, failed_at, reason,
        fingerprint, resolution, resolved_at, attempt, resolved_by, note, replayed_attempt, edited_payload, edited_by,
        edited_at)
    select job_id, job_type, payload, error_type, error_message, retry_count, failed_at, reason, fingerprint,
        resolution, resolved_at, attempt, resolved_by, note, replayed_attempt, edited_payload, edited_by, edited_at
    from jsonb_to_recordset(%(rows)s::jsonb) as r(job_id uuid, job_type text, payload jsonb, error_type text,
        error_message text, retry_count int, failed_at timestamptz, reason text, fingerprint text, resolution text,
        resolved_at timestamptz, attempt int, resolved_by text, note text, replayed_attempt int, edited_payload jsonb,
        edited_by text, edited_at timestamptz)
    on conflict (job_id, attempt) do nothing
    """,
    {"rows": "[]"},
)


class Imported(NamedTuple):
    """How many dead letters, and rows of their jobs, were new."""

    letters: int
    jobs: int


def export(transaction: Transaction, chosen: LetterFilter, page: int = 500) -> Iterator[str]:
    """Give the lines of the dead letters that match, the oldest first, reading a page of them at a time."""
    last = 0
    while True:
        rows = transaction.rows(EXPORT_LETTERS, **chosen.parameters(), after_id=last, limit=page)
        if not rows:
            return
        yield from (row["line"] for row in rows)
        last = rows[-1]["dlq_id"]


def take(transaction: Transaction, lines: Sequence[str]) -> Imported:
    """Write dead letters and, for those that are open, the rows of jobs that are not here; what is here stays.

    :param lines: that were checked.
    """
    rows = f"[{','.join(lines)}]"
    made = transaction.count(IMPORT_JOBS, rows=rows)
    return Imported(transaction.count(IMPORT_LETTERS, rows=rows), made)
