"""The rows of ``worker_samples`` and ``queue_samples``: how workers and queues were, from time to time."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from jobplatform.store.database import Transaction
from jobplatform.store.statement import Statement

Row = Mapping[str, Any]

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
#: So many waiting jobs of a queue tell how long its jobs take.
_ASKED = 500

ADD_WORKER_SAMPLES = Statement(
    "add_worker_samples",
    """
    insert into @worker_samples (worker_id, sampled_at, seconds, cpu, rss, tree_rss, rss_slope, memory_left,
        memory_limit, processes, open_files, disk_free, slots, active, waiting, started, finished, failed, loop_wait,
        jitter)
    select worker_id, to_timestamp(sampled_at), seconds, cpu, rss, tree_rss, rss_slope, memory_left,
        memory_limit, processes, open_files, disk_free, slots, active, waiting, started, finished, failed, loop_wait,
        jitter
    from json_to_recordset(%(rows)s) as r(worker_id text, sampled_at float8, seconds real, cpu real, rss bigint,
        tree_rss bigint, rss_slope float8, memory_left bigint, memory_limit bigint, processes jsonb, open_files int,
        disk_free bigint, slots int, active int, waiting int, started bigint, finished bigint, failed bigint,
        loop_wait real, jitter real)
    on conflict do nothing
    """,
    {"rows": "[]"},
)

ADD_QUEUE_SAMPLES = Statement(
    "add_queue_samples",
    """
    insert into @queue_samples (queue, sampled_at, seconds, depth, oldest_seconds, arrived, started, finished, running,
        work_seconds)
    select queue, %(at)s, seconds, depth, oldest_seconds, arrived, started, finished, running, work_seconds
    from json_to_recordset(%(rows)s) as r(queue text, seconds real, depth int, oldest_seconds real, arrived int,
        started int, finished int, running int, work_seconds float8)
    on conflict do nothing
    """,
    {"rows": "[]", "at": _NOW},
)

# The jobs that wait the longest stand for all: how many wait is known, and what all of them take would cost as much as
# the queue is long.
FORETOLD_WORK = Statement(
    "foretold_work",
    """
    select q.queue, w.seconds from unnest(%(queues)s::text[]) as q(queue)
    cross join lateral (
        select avg(j.predicted_p50)::float8 as seconds from (
            select predicted_p50 from @jobs where status = 'PENDING' and queue = q.queue limit %(limit)s
        ) j
    ) w where w.seconds is not null
    """,
    {"queues": ["celery"], "limit": _ASKED},
)

LAST_WORKER_SAMPLES = Statement(
    "last_worker_samples",
    """
    select s.*, extract(epoch from s.sampled_at)::float8 as at from unnest(%(workers)s::text[]) as w(worker_id)
    cross join lateral (
        select * from @worker_samples where worker_id = w.worker_id and sampled_at > %(after)s
        order by sampled_at desc limit %(limit)s
    ) s order by s.worker_id, s.sampled_at
    """,
    {"workers": ["a"], "after": _NOW, "limit": 1},
)

# Newest first, so that what is left out is the oldest; with what became of the worker since. Whoever was replaced as a
# person or a model wanted it may have been well: a model that learned from that would learn to agree with itself.
READ_SAMPLES = Statement(
    "read_samples",
    """
    select s.worker_id, extract(epoch from s.sampled_at)::float8 as at, s.seconds, s.cpu, s.rss, s.tree_rss,
        s.open_files, s.slots, s.active, s.waiting, s.started, s.finished, s.failed, s.loop_wait, s.jitter,
        s.memory_left, s.memory_limit, s.disk_free,
        case when w.status = 'stale' then extract(epoch from w.last_seen_at)::float8 end as died,
        case when r.failed then extract(epoch from r.asked_at)::float8 end as replaced,
        case when not r.failed then extract(epoch from r.asked_at)::float8 end as taken
    from (
        select * from @worker_samples where sampled_at > %(after)s order by sampled_at desc limit %(limit)s
    ) s
    left join @workers w on w.worker_id = s.worker_id
    left join lateral (
        select p.asked_at, p.asked_by in ('fleet', '') and coalesce((
            select v.decided_by = 'rules' from @verdicts v
            where v.worker_id = p.worker_id and v.judged_at <= p.asked_at order by v.judged_at desc limit 1
        ), true) as failed
        from @replacements p where p.worker_id = s.worker_id and p.outcome in ('replaced', 'died')
        and p.asked_at > %(after)s order by p.asked_at limit 1
    ) r on true
    """,
    {"after": _NOW, "limit": 1},
)

COUNT_SAMPLES = Statement(
    "count_samples",
    """
    select count(*) as samples from (
        select from @worker_samples where sampled_at > %(after)s limit %(limit)s
    ) s
    """,
    {"after": _NOW, "limit": 1},
)

PRUNE_WORKER_SAMPLES = Statement(
    "prune_worker_samples",
    """
    delete from @worker_samples where (worker_id, sampled_at) in (
        select worker_id, sampled_at from @worker_samples where sampled_at < %(before)s limit %(limit)s
    )
    """,
    {"before": _NOW, "limit": 1},
)

PRUNE_QUEUE_SAMPLES = Statement(
    "prune_queue_samples",
    """
    delete from @queue_samples where (queue, sampled_at) in (
        select queue, sampled_at from @queue_samples where sampled_at < %(before)s limit %(limit)s
    )
    """,
    {"before": _NOW, "limit": 1},
)

# What raised the memory of a process, by the peaks that it had after each of its jobs: a peak never falls, so it says
# nothing of a job that came after a hungry one.
HUNGRY_TYPES = Statement(
    "hungry_types",
    """
    select j.job_type, j.queue, p.worker_id, p.pid, p.peak, p.died, p.started_at
    from (
        select job_id, worker_id, metrics->>'pid' as pid, started_at,
            coalesce((metrics->'death'->>'rss')::float8, (metrics->>'peak_rss_kib')::float8 * 1024) as peak,
            metrics ? 'death' as died
        from @job_executions where completed_at is not null and (metrics ? 'peak_rss_kib' or metrics ? 'death')
        order by execution_id desc limit %(limit)s
    ) p join @jobs j on j.job_id = p.job_id
    where p.peak is not null order by p.worker_id, p.pid, p.started_at
    """,
    {"limit": 1},
)


def add_workers(transaction: Transaction, rows: Sequence[Row]) -> int:
    """Write samples of workers: their values by the names of the columns, ``sampled_at`` in seconds since the epoch."""
    return transaction.count(ADD_WORKER_SAMPLES, rows=json.dumps(rows)) if rows else 0


def add_queues(transaction: Transaction, rows: Sequence[Row], at: datetime) -> int:
    """Write a sample of each of some queues."""
    return transaction.count(ADD_QUEUE_SAMPLES, rows=json.dumps(rows), at=at) if rows else 0


def foretold_work(transaction: Transaction, queues: Sequence[str]) -> dict[str, float]:
    """Tell how long waiting jobs take in the mean, in seconds, by queue; where nobody foretold it is left out."""
    rows = transaction.rows(FORETOLD_WORK, queues=list(queues), limit=_ASKED)
    return {row["queue"]: row["seconds"] for row in rows}


def last_of_workers(
    transaction: Transaction, workers: Sequence[str], after: datetime, limit: int
) -> dict[str, list[Row]]:
    """Give the last samples of some workers, oldest first; each also has ``at``, in seconds since the epoch."""
    found: defaultdict[str, list[Row]] = defaultdict(list)
    for row in transaction.rows(LAST_WORKER_SAMPLES, workers=list(workers), after=after, limit=limit):
        found[row["worker_id"]].append(row)
    return dict(found)


def to_learn_from(transaction: Transaction, after: datetime, limit: int) -> Sequence[Row]:
    """List samples of workers, newest first, each with when its worker died, was replaced as it failed,
    or was ``taken`` away as a person or a model wanted, in seconds, or None.
    """
    return transaction.rows(READ_SAMPLES, after=after, limit=limit)


def count_newer(transaction: Transaction, after: datetime, limit: int) -> int:
    """Count samples of workers after a time, up to a limit."""
    return int(transaction.rows(COUNT_SAMPLES, after=after, limit=limit)[0]["samples"])


def prune_workers(transaction: Transaction, before: datetime, limit: int) -> int:
    """Delete old samples of workers, so many at most; returns how many."""
    return transaction.count(PRUNE_WORKER_SAMPLES, before=before, limit=limit)


def prune_queues(transaction: Transaction, before: datetime, limit: int) -> int:
    """Delete old samples of queues, so many at most; returns how many."""
    return transaction.count(PRUNE_QUEUE_SAMPLES, before=before, limit=limit)


def peaks(transaction: Transaction, limit: int) -> Sequence[Row]:
    """List the peak memory of the newest attempts in bytes: process by process, in the order in which they ran."""
    return transaction.rows(HUNGRY_TYPES, limit=limit)
