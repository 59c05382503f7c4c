"""What the stores say, read by plain SQL and plain Redis commands."""

from __future__ import annotations

import re
import threading
import time
from typing import Any

import psycopg2
import redis

from chaos.evidence import BatchRow, JobRow, Sample

_ROWS = """
    select j.job_id::text, j.status, j.attempt, coalesce(j.payload->'kwargs'->>'token', ''),
        coalesce(j.result->>'run', ''), extract(epoch from j.completed_at)::float8,
        coalesce(d.reason, ''), extract(epoch from j.created_at)::float8, extract(epoch from j.fire_at)::float8,
        coalesce(j.batch_id::text, '')
    from jobs j left join lateral (
        select reason from dead_letter_jobs where job_id = j.job_id order by attempt desc limit 1
    ) d on true
"""
_COMPLETED_TWICE = """
    select job_id::text from job_executions where status = 'COMPLETED' group by job_id having count(*) > 1
"""
_SAMPLES = """
    select job_id::text, status, coalesce(result->>'run', '') from jobs
    where status in ('COMPLETED', 'FAILED', 'CANCELLED') and updated_at >= to_timestamp(%s)
"""
_OPEN = "select count(*) from jobs where status not in ('COMPLETED', 'FAILED', 'CANCELLED')"
_STORY = """
    select row_to_json(j) from (select status, attempt, retry_count, deaths, worker_id, created_at, updated_at,
        enqueued_at, due_at, started_at, completed_at, result, error_type, error_message from jobs
        where job_id = %(id)s::uuid) j
    union all
    select row_to_json(e) from (select attempt_number, status, worker_id, started_at, completed_at, error_type,
        error_message, metrics from job_executions where job_id = %(id)s::uuid order by attempt_number) e
"""
_BATCHES = """
    select batch_id::text, name, total, completed, failed, cancelled, complete_at is not null from batches
"""
_PUT_SCHEDULE = """
    insert into job_schedules (name, job_type, queue, cron_expression, payload_template, misfire, overlap)
    values (%(name)s, 'chaos.jobs.work', 'celery', %(cron)s, %(payload)s::jsonb, 'all', %(overlap)s)
"""
_BEHIND = "select count(*) from job_schedules where next_run is null or next_run <= to_timestamp(%s)"
#: Lists that hold no jobs: tokens that wake workers, and answers to Celery's remote control whose asker was killed.
_NO_JOBS = re.compile(r"^jp:bell:|\.pidbox$")
#: What has to be empty when all is quiet, by how Redis counts it; the queue lists come on top.
_EMPTY = {"unacked": "hlen", "unacked_index": "zcard", "jp:starts": "hlen", "jp:journal": "xlen", "jp:early": "xlen"}


class Stores:
    """A reader of PostgreSQL and Redis that connects anew for each look, since either may have been away."""

    def __init__(self, database_url: str, redis_url: str) -> None:
        self.database_url = database_url
        self.redis_url = redis_url

    def query(self, sql: str, values: Any = None) -> list[tuple[Any, ...]]:
        """Run one statement and return its rows, if it has any."""
        connection = psycopg2.connect(self.database_url, connect_timeout=3)
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql, values)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def jobs(self) -> dict[str, JobRow]:
        """Read every job."""
        return {values[0]: JobRow(*values) for values in self.query(_ROWS)}

    def completed_twice(self) -> frozenset[str]:
        """List the jobs with more than one completed execution."""
        return frozenset(job_id for (job_id,) in self.query(_COMPLETED_TWICE))

    def orders(self) -> frozenset[str]:
        """List the tokens that transactional clients wrote."""
        return frozenset(token for (token,) in self.query("select token from shop.orders"))

    def batches(self) -> list[BatchRow]:
        """Read every batch."""
        return [BatchRow(*values) for values in self.query(_BATCHES)]

    def put_schedule(self, **values: Any) -> None:
        """Write a schedule that makes up for all that it misses."""
        self.query(_PUT_SCHEDULE, values)

    def has_limits(self) -> bool:
        """Tell whether workers are told of limits."""
        with redis.Redis.from_url(self.redis_url, socket_timeout=5) as client:
            return bool(client.exists("jp:limits"))

    def schedules_behind(self, until: float) -> bool:
        """Tell whether a schedule has not fired yet at all of its times until then."""
        return bool(self.query(_BEHIND, (until,))[0][0])

    def story(self, job_id: str) -> list[Any]:
        """Give all that the rows know of a job."""
        return [found for (found,) in self.query(_STORY, {"id": job_id})]

    def remains(self) -> dict[str, int]:
        """Count what should not be there when all is quiet, by name; empty when it is."""
        client: Any = redis.Redis.from_url(self.redis_url, socket_timeout=5)
        try:
            found = {name: int(getattr(client, count)(name)) for name, count in _EMPTY.items()}
            lists = [name.decode() for name in client.scan_iter(_type="list", count=1_000)]
            found |= {f"list {name!r}": int(client.llen(name)) for name in lists if not _NO_JOBS.search(name)}
        finally:
            client.close()
        found["open rows"] = self.query(_OPEN)[0][0]
        found["quarantined entries"] = self.query("select count(*) from journal_quarantine")[0][0]
        return {name: count for name, count in found.items() if count}


class Watch:
    """Note what final rows say while the run goes on, in a thread of its own.

    :param samples: what each final row said when it was seen first.
    """

    def __init__(self, stores: Stores, seconds: float = 4.0) -> None:
        self.stores = stores
        self.seconds = seconds
        self.samples: dict[str, Sample] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._stop.set()
        self._thread.join(30.0)

    def _run(self) -> None:
        since = 0.0
        while not self._stop.wait(self.seconds):
            began = time.time()
            try:
                found = self.stores.query(_SAMPLES, (since,))
            except psycopg2.Error:
                continue  # PostgreSQL is away; the next look begins where the last good one did
            for job_id, status, run in found:
                self.samples.setdefault(job_id, Sample(status, run))
            # A transaction may have begun, and so have its time, before what was seen here.
            since = began - 10.0
