"""How each table is filled: every value follows from the number of the job and the seed.

``pick(n, what)`` is a number that looks as if it were drawn, from 0 up to 1.
"""

from __future__ import annotations

from typing import NamedTuple

#: A function of the session's own, so that nothing of it stays.
PICK = """
create function pg_temp.pick(n bigint, what text) returns double precision language sql immutable parallel safe as $$
    select (hashint8extended(n, hashtextextended(what, {seed})) & 9007199254740991)::double precision / 9007199254740992
$$
"""

#: Few types, queues and tenants make most of the jobs: the square and cube of what was drawn.
_JOBS = """
insert into {schema}.jobs (job_id, job_type, status, priority, payload, retry_count, created_at, updated_at,
    scheduled_at, started_at, completed_at, error_message, queue, attempt, worker_id, result, error_type, fingerprint,
    enqueued_at, due_at, tenant, tags)
select
    overlay(overlay(lpad(to_hex((extract(epoch from created) * 1000)::bigint), 12, '0')
            || md5(n::text || '-{seed}') placing '7' from 13) placing '8' from 17)::varchar(32)::uuid,
    type, status, priority,
    jsonb_build_object('args', jsonb_build_array(n % 97), 'kwargs', jsonb_build_object(
        'customer', jsonb_build_object('id', (pick(n, 'customer') * 50000)::int,
            'country', (array['de', 'fr', 'it', 'es', 'us', 'jp'])[1 + (pick(n, 'country') * 6)::int % 6]),
        'order', n, 'amount', round((pick(n, 'amount') * 900)::numeric, 2), 'note', md5(n::text))),
    attempt - 1, created,
    created + least(interval '1 day' * pick(n, 'update'), {now} - created),
    case when status = 'SCHEDULED' then {now} + interval '7 days' * pick(n, 'when') end,
    case when ran then created + interval '1 minute' * pick(n, 'wait') end,
    case when ended then created + interval '1 minute' * (pick(n, 'wait') + pick(n, 'run')) end,
    case when failed then error || ': while calling service ' || service || ' for order ' || n end,
    queue, attempt,
    case when ran then 'worker-' || (pick(n, 'worker') * 12)::int || '@host' end,
    case when status = 'COMPLETED' then jsonb_build_object('total', n % 1000) end,
    case when failed then error end,
    case when failed then md5(type || error || service) end,
    created,
    case when status in ('SCHEDULED', 'RETRYING') then {now} + interval '7 days' * pick(n, 'when') end,
    case when pick(n, 'has tenant') < 0.5 then 'tenant-' || (power(pick(n, 'tenant'), 2) * 200)::int end,
    case when pick(n, 'has tags') < 0.3
        then array[(array['vip', 'nightly', 'import', 'mail', 'canary'])[1 + (pick(n, 'tag') * 5)::int % 5]] end
from (
    select n, created, status, 1 + (power(pick(n, 'priority'), 3) * 5)::int % 5 as priority,
        'shop.type_' || (power(pick(n, 'type'), 3) * 60)::int as type,
        (pick(n, 'service') * 40)::int as service,
        'queue-' || (power(pick(n, 'queue'), 2) * 8)::int as queue,
        case when status in ('FAILED', 'RETRYING') then 2 + (pick(n, 'attempt') * 4)::int else 1 end as attempt,
        status in ('FAILED', 'RETRYING') as failed,
        status in ('COMPLETED', 'FAILED', 'PROCESSING', 'RETRYING') as ran,
        status in ('COMPLETED', 'FAILED') as ended,
        (array['TimeoutError', 'ConnectionError', 'ValueError', 'KeyError', 'requests.exceptions.HTTPError',
            'psycopg2.OperationalError', 'MemoryError'])[1 + (power(pick(n, 'error'), 2) * 7)::int % 7] as error
    from (
        select n, {now} - interval '90 days' * (1 - n::double precision / {jobs}) as created,
            -- What has not ended is young; of what is old, nearly all has.
            case when n > {jobs} * 0.98 and pick(n, 'open') < 0.5
                then (array['PENDING', 'PENDING', 'PENDING', 'SCHEDULED', 'RETRYING', 'BLOCKED', 'PAUSED',
                    'PROCESSING'])[1 + (pick(n, 'state') * 8)::int % 8]
                when pick(n, 'end') < 0.95 then 'COMPLETED' when pick(n, 'end') < 0.99 then 'FAILED'
                else 'CANCELLED' end as status
        from generate_series({first}::bigint, {last}::bigint) n
    ) begun
) known
""".replace("pick(", "pg_temp.pick(")

_EXECUTIONS = """
insert into {schema}.job_executions (job_id, worker_id, attempt_number, started_at, completed_at, status, error_type,
    error_message, metrics, traceback)
select job_id, worker_id, attempt, started_at, completed_at, status, error_type, error_message,
    jsonb_build_object('wait', extract(epoch from started_at - created_at),
        'run', extract(epoch from completed_at - started_at)),
    case when error_type is not null
        then E'Traceback (most recent call last):\\n  File "shop.py", line 7, in charge\\n' || error_message end
from {schema}.jobs where started_at is not null
    and created_at > {now} - interval '90 days' * (1 - ({first} - 0.5) / {jobs})
    and created_at <= {now} - interval '90 days' * (1 - ({last} + 0.5) / {jobs})
"""

_LETTERS = """
insert into {schema}.dead_letter_jobs (job_id, job_type, payload, error_type, error_message, retry_count, failed_at,
    reason, fingerprint, attempt, resolution, resolved_at)
select job_id, job_type, payload, error_type, error_message, retry_count, completed_at, 'attempts_exhausted',
    fingerprint, attempt, case when completed_at < {now} - interval '10 days' then 'discarded' end,
    case when completed_at < {now} - interval '10 days' then completed_at + interval '1 day' end
from {schema}.jobs where status = 'FAILED'
"""

_CLUSTERS = """
insert into {schema}.error_clusters (fingerprint, error_type, text, sample, sample_job, job_types, errors, first_seen,
    last_seen)
select fingerprint, min(error_type), min(error_type) || ': while calling service <n> for order <n>', min(error_message),
    min(job_id::text)::uuid, jsonb_object_agg(distinct job_type, 1), count(*), min(completed_at), max(completed_at)
from {schema}.jobs where status = 'FAILED' group by fingerprint
"""

_DECISIONS = """
insert into {schema}.retry_decisions (job_id, attempt, action, delay_seconds, reason, decided_by, decided_at, job_type,
    fingerprint)
select job_id, attempt, case status when 'FAILED' then 'dead_letter' else 'retry' end,
    case status when 'FAILED' then null else 30 * attempt end, 'attempts used', 'rule',
    coalesce(completed_at, updated_at), job_type, fingerprint
from {schema}.jobs where status in ('FAILED', 'RETRYING')
"""


class Filling(NamedTuple):
    """How a table is filled.

    :param in_parts: whether it follows from the numbers of some jobs, or from all of them together.
    """

    table: str
    text: str
    in_parts: bool


FILLINGS = (
    Filling("jobs", _JOBS, True),
    Filling("job_executions", _EXECUTIONS, True),
    Filling("dead_letter_jobs", _LETTERS, False),
    Filling("error_clusters", _CLUSTERS, False),
    Filling("retry_decisions", _DECISIONS, False),
)
