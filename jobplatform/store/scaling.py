"""The rows of ``queue_samples`` as they are read for scaling, of ``scale_decisions``, and what is known to come."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from jobplatform.store.database import Transaction
from jobplatform.store.statement import Statement

Row = Mapping[str, Any]

#: A decision is kept for so long.
RETENTION = timedelta(days=30)
_NOW = datetime(2026, 1, 1, tzinfo=UTC)

READ_QUEUE_SAMPLES = Statement(
    "read_queue_samples",
    """
    select queue, extract(epoch from sampled_at)::float8 as at, seconds::float8, depth, arrived, started, finished,
        running, coalesce(oldest_seconds, 0)::float8 as oldest, coming::float8, leaving::float8
    from @queue_samples where sampled_at > %(after)s order by sampled_at
    """,
    {"after": _NOW},
)

SAMPLED_SLOTS = Statement(
    "sampled_slots",
    """
    select coalesce(percentile_disc(0.5) within group (order by slots), 0) as slots
    from @worker_samples where sampled_at > %(after)s and slots is not null
    """,
    {"after": _NOW},
)

ADD_SCALE_DECISION = Statement(
    "add_scale_decision",
    """
    insert into @scale_decisions (decided_at, pool, queues, had, wanted, level, probability, forecast, reason,
        counterfactual, decided_by, dry_run)
    values (%(decided_at)s, %(pool)s, %(queues)s, %(had)s, %(wanted)s, %(level)s, %(probability)s,
        %(forecast)s::jsonb, %(reason)s, %(counterfactual)s, %(decided_by)s, %(dry_run)s)
    returning decision_id
    """,
    {
        "decided_at": _NOW,
        "pool": "workers",
        "queues": ["celery"],
        "had": 1,
        "wanted": 1,
        "level": "normal",
        "probability": 0.0,
        "forecast": "{}",
        "reason": "",
        "counterfactual": "",
        "decided_by": "rule",
        "dry_run": True,
    },
)

MARK_SCALED = Statement(
    "mark_scaled",
    "update @scale_decisions set acted_at = now() where decision_id = %(decision_id)s",
    {"decision_id": 1},
)

LIST_SCALE_DECISIONS = Statement(
    "list_scale_decisions",
    """
    select * from @scale_decisions
    where decision_id < %(before)s and (%(pool)s::text is null or pool = %(pool)s) and (%(all)s or had <> wanted)
    order by decision_id desc limit %(limit)s
    """,
    {"before": 2**62, "pool": None, "all": False, "limit": 20},
)

SHOW_SCALE_DECISION = Statement(
    "show_scale_decision",
    "select * from @scale_decisions where decision_id = %(decision_id)s",
    {"decision_id": 1},
)

PRUNE_SCALE_DECISIONS = Statement(
    "prune_scale_decisions", "delete from @scale_decisions where decided_at < %(before)s", {"before": _NOW}
)

# What the last fires of a schedule brought with them within minutes is what the next one will bring; one that has never
# fired brings its own job. A job of its own is no news where it comes every few minutes.
COMING_FIRES = Statement(
    "coming_fires",
    """
    with due as (
        select schedule_id, name, next_run, queue from @job_schedules
        where enabled and next_run > %(now)s and next_run <= %(until)s order by next_run limit 1000
    ), fired as (
        select d.schedule_id, f.job_id, f.fire_at, count(*) over (partition by d.schedule_id) as fires,
            max(f.fire_at) over (partition by d.schedule_id) < %(now)s - %(within)s::interval as rare
        from due d cross join lateral (
            select job_id, fire_at from @jobs
            where schedule_id = d.schedule_id and fire_at < %(now)s order by fire_at desc limit 5
        ) f
    ), brought as (
        select f.schedule_id, f.fires, b.queue, b.seconds from fired f cross join lateral (
            (
                select queue, coalesce(extract(epoch from completed_at - started_at)::float8, predicted_p50) as seconds
                from @jobs
                where root_id = f.job_id and job_id <> f.job_id and created_at < f.fire_at + %(within)s::interval
                limit 20000
            )
            union all
            select queue, coalesce(extract(epoch from completed_at - started_at)::float8, predicted_p50)
            from @jobs where job_id = f.job_id and f.rare
        ) b
        union all
        select schedule_id, 1, queue, null from due where schedule_id not in (select schedule_id from fired)
    )
    select d.name, d.next_run, b.queue, count(*)::float8 / max(b.fires) as jobs, avg(b.seconds) as seconds
    from due d join brought b using (schedule_id)
    group by d.name, d.next_run, b.queue
    """,
    {"now": _NOW, "until": _NOW, "within": "5 minutes"},
)

COMING_JOBS = Statement(
    "coming_jobs",
    """
    select queue, count(*) as jobs, avg(predicted_p50)::float8 as seconds from (
        select queue, predicted_p50 from @jobs where due_at > %(now)s and due_at <= %(until)s
        order by due_at limit 100000
    ) j group by queue
    """,
    {"now": _NOW, "until": _NOW},
)

# As ``chance_of_end`` has it, for all that run.
COUNT_LEAVING = Statement(
    "count_leaving",
    """
    with foretold as (
        select queue, greatest(predicted_p50, 1)::float8 as median, coalesce(predicted_p90, 0)::float8 as most,
            greatest(extract(epoch from %(now)s - started_at), 0)::float8 as ran
        from @jobs where status = 'PROCESSING' and predicted_p50 is not null and started_at is not null
    ), shaped as (
        select queue, ln(9::float8) / ln(greatest(most / median, 1.05)) as shape,
            least(ran / median, 1e6) as now, least((ran + %(more)s) / median, 1e6) as later
        from foretold
    )
    select queue, sum(1 - (1 + power(now, shape)) / (1 + power(later, shape))) as jobs from shaped group by queue
    """,
    {"now": _NOW, "more": 60.0},
)

NOTE_KNOWN = Statement(
    "note_known",
    """
    update @queue_samples s set coming = r.coming, leaving = r.leaving
    from json_to_recordset(%(rows)s) as r(queue text, at float8, coming real, leaving real)
    where s.queue = r.queue and s.sampled_at between to_timestamp(r.at - 0.001) and to_timestamp(r.at + 0.001)
    """,
    {"rows": "[]"},
)

READ_ARRIVALS = Statement(
    "read_arrivals",
    """
    select extract(epoch from e.started_at)::float8 - coalesce((e.metrics->>'wait')::float8, 0) as at,
        coalesce((e.metrics->>'run')::float8, extract(epoch from e.completed_at - e.started_at)::float8) as seconds,
        j.priority, j.predicted_p50::float8 as foretold, j.predicted_p90::float8 as most
    from @jobs j join @job_executions e using (job_id)
    where j.created_at >= %(since)s and j.created_at < %(until)s
        and (%(queue)s::text is null or j.queue = %(queue)s)
        and e.started_at is not null and e.completed_at is not null
    order by 1 limit %(limit)s
    """,
    {"since": _NOW, "until": _NOW, "queue": None, "limit": 1},
)


def samples(transaction: Transaction, after: datetime) -> Sequence[Row]:
    """List the samples of all queues that were taken later, the oldest first; times in seconds since the epoch."""
    return transaction.rows(READ_QUEUE_SAMPLES, after=after)


def sampled_slots(transaction: Transaction, after: datetime) -> int:
    """Tell how many jobs a worker runs at once, by what most workers have said since then; 0 when none has."""
    return int(transaction.rows(SAMPLED_SLOTS, after=after)[0]["slots"])


def add(transaction: Transaction, row: Row) -> int:
    """Write a decision down and return its number.

    :param row: the columns by name, ``forecast`` as a mapping.
    """
    return int(
        transaction.rows(ADD_SCALE_DECISION, **{**row, "forecast": json.dumps(row["forecast"])})[0]["decision_id"]
    )


def mark_acted(transaction: Transaction, decision_id: int) -> None:
    """Note that the fleet was asked for what was decided."""
    transaction.count(MARK_SCALED, decision_id=decision_id)


def decisions(
    transaction: Transaction, limit: int, pool: str | None = None, every: bool = False, before: int = 2**62
) -> Sequence[Row]:
    """List decisions, the newest first.

    :param every: those as well that left everything as it was.
    :param before: the number of the last decision of the page before.
    """
    return transaction.rows(LIST_SCALE_DECISIONS, before=before, pool=pool, all=every, limit=limit)


def show(transaction: Transaction, decision_id: int) -> Row | None:
    """Give all that is known of a decision, None when there is none of the number."""
    return next(iter(transaction.rows(SHOW_SCALE_DECISION, decision_id=decision_id)), None)


def prune(transaction: Transaction, now: datetime) -> int:
    """Delete decisions of long ago; returns how many."""
    return transaction.count(PRUNE_SCALE_DECISIONS, before=now - RETENTION)


def coming_fires(transaction: Transaction, now: datetime, until: datetime) -> Sequence[Row]:
    """List what schedules will bring that fire soon, by their last fires: ``name``, ``next_run``, ``queue``, how many
    ``jobs``, and how many ``seconds`` each runs (None where none has)."""
    return transaction.rows(COMING_FIRES, now=now, until=until, within=timedelta(minutes=5))


def coming_jobs(transaction: Transaction, now: datetime, until: datetime) -> Sequence[Row]:
    """Count by queue the jobs and retries that are due soon: ``queue``, ``jobs``, and ``seconds``, None if unknown."""
    return transaction.rows(COMING_JOBS, now=now, until=until)


def leaving(transaction: Transaction, now: datetime, until: datetime) -> dict[str, float]:
    """Give by queue how many running jobs are foretold to end until a time; queues of which it is known alone."""
    more = (until - now).total_seconds()
    return {row["queue"]: float(row["jobs"]) for row in transaction.rows(COUNT_LEAVING, now=now, more=more)}


def note_known(transaction: Transaction, rows: Sequence[Row]) -> int:
    """Keep with samples what was known ahead, to learn from it: ``queue``, ``at``, ``coming``, ``leaving``."""
    return transaction.count(NOTE_KNOWN, rows=json.dumps(rows)) if rows else 0


def arrivals(
    transaction: Transaction, queue: str | None, since: datetime, until: datetime, limit: int
) -> Sequence[Row]:
    """List the starts of jobs that were submitted in some time: ``at`` (since the epoch), ``seconds``, ``priority``,
    and for how many seconds each was ``foretold`` to run, None if it was not."""
    return transaction.rows(READ_ARRIVALS, queue=queue, since=since, until=until, limit=limit)
