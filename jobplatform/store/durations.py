"""The rows of ``duration_estimates`` and ``duration_coverage``: how long jobs take, and how true that was."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from jobplatform.store.database import Transaction
from jobplatform.store.statement import Statement

Row = Mapping[str, Any]

_ID = "00000000-0000-7000-8000-000000000000"
_NOW = datetime(2026, 1, 1, tzinfo=UTC)
#: Keys of a job type that are estimated; of more, those that ran last.
MOST_KEYS = 1_000
#: Estimates that nothing was added to for so long are deleted, and counts of days.
_RETENTION = timedelta(days=60)

READ_ESTIMATES = Statement(
    "read_estimates",
    """
    select e.job_type, e.key, e.p10, e.p50, e.p90, e.chance, e.runs, e.decided_by, e.longest, e.history, e.widening,
        e.updated_at
    from json_to_recordset(%(pairs)s) as r(job_type text, key text)
    join @duration_estimates e on e.job_type = r.job_type and e.key = r.key
    """,
    {"pairs": "[]"},
)

LIST_OF_TYPE = Statement(
    "list_estimates_of_type",
    """
    select key, p10, p50, p90, chance, runs, decided_by, longest, updated_at from @duration_estimates
    where job_type = %(job_type)s order by key limit %(limit)s
    """,
    {"job_type": "t", "limit": MOST_KEYS},
)

LIST_TYPES = Statement(
    "list_estimated_types",
    """
    select e.job_type, e.p10, e.p50, e.p90, e.chance, e.runs, e.decided_by, e.longest, e.widening, e.updated_at,
        c.judged, c.below, c.above, c.within, c.error, c.seconds, l.timeout
    from (
        select * from @duration_estimates where key = '' and job_type > %(after)s order by job_type limit %(limit)s
    ) e
    left join lateral (
        select sum(judged)::int as judged, sum(below)::int as below, sum(above)::int as above,
            sum(within)::int as within, sum(error) as error, sum(seconds) as seconds
        from @duration_coverage c where c.job_type = e.job_type and c.day > %(since)s::date
    ) c on true
    left join lateral (
        select timeout from @jobs j where j.job_type = e.job_type and j.status = 'COMPLETED' limit 1
    ) l on true
    order by e.job_type
    """,
    {"limit": 100, "since": _NOW, "after": ""},
)

LIST_COVERAGE = Statement(
    "list_coverage",
    """
    select day, runs, judged, below, above, within, error, seconds from @duration_coverage
    where job_type = %(job_type)s order by day desc limit %(limit)s
    """,
    {"job_type": "t", "limit": 30},
)

RECENT_COVERAGE = Statement(
    "recent_coverage",
    """
    select coalesce(sum(runs), 0)::int as runs, coalesce(sum(judged), 0)::int as judged,
        coalesce(sum(below), 0)::int as below, coalesce(sum(above), 0)::int as above,
        coalesce(sum(within), 0)::int as within
    from @duration_coverage where day > %(since)s::date
    """,
    {"since": _NOW},
)

WRITE_ESTIMATES = Statement(
    "write_estimates",
    """
    insert into @duration_estimates as e (job_type, key, p10, p50, p90, chance, runs, decided_by, longest, history,
        widening, updated_at)
    select job_type, key, p10, p50, p90, chance, runs, decided_by, longest, history, widening, now()
    from json_to_recordset(%(rows)s) as r(job_type text, key text, p10 float8, p50 float8, p90 float8, chance float8,
        runs int, decided_by text, longest float8, history jsonb, widening jsonb)
    on conflict (job_type, key) do update set p10 = excluded.p10, p50 = excluded.p50, p90 = excluded.p90,
        chance = excluded.chance, runs = excluded.runs, decided_by = excluded.decided_by, longest = excluded.longest,
        history = excluded.history, widening = excluded.widening, updated_at = excluded.updated_at
    """,
    {"rows": "[]"},
)

COUNT_COVERAGE = Statement(
    "count_coverage",
    """
    insert into @duration_coverage as c (job_type, day, runs, judged, below, above, within, error, seconds)
    select job_type, %(now)s::date, runs, judged, below, above, within, error, seconds
    from json_to_recordset(%(rows)s) as r(job_type text, runs int, judged int, below int, above int, within int,
        error float8, seconds float8)
    on conflict (job_type, day) do update set runs = c.runs + excluded.runs, judged = c.judged + excluded.judged,
        below = c.below + excluded.below,
        above = c.above + excluded.above, within = c.within + excluded.within, error = c.error + excluded.error,
        seconds = c.seconds + excluded.seconds
    """,
    {"rows": "[]", "now": _NOW},
)

READ_FORETOLD = Statement(
    "read_foretold",
    """
    select job_id::text, job_type, duration_key, predicted_p10 as p10, predicted_p50 as p50, predicted_p90 as p90
    from @jobs where job_id = any(%(job_ids)s::uuid[])
    """,
    {"job_ids": [_ID]},
)

# Of each job type, what ran last; what is left out is found again by its next run.
PRUNE_ESTIMATES = Statement(
    "prune_estimates",
    """
    delete from @duration_estimates e where e.updated_at < %(before)s or (e.key <> '' and e.job_type = any(
        select job_type from @duration_estimates group by job_type having count(*) > %(most)s)
        and e.key not in (select k.key from @duration_estimates k where k.job_type = e.job_type
            order by k.updated_at desc limit %(most)s))
    """,
    {"before": _NOW, "most": MOST_KEYS},
)

PRUNE_COVERAGE = Statement(
    "prune_coverage", "delete from @duration_coverage where day < %(before)s::date", {"before": _NOW}
)

# The primary key grows with time, so the newest are read without a look at the rest.
READ_RUNS = Statement(
    "read_runs",
    """
    select j.job_type, coalesce(j.duration_key, '') as key, extract(epoch from j.created_at)::float8 as submitted,
        extract(epoch from e.completed_at)::float8 as ended,
        extract(epoch from e.completed_at - e.started_at)::float8 as seconds, j.timeout
    from (
        select job_id, started_at, completed_at, status from @job_executions order by execution_id desc limit %(limit)s
    ) e join @jobs j using (job_id)
    where e.status = 'COMPLETED' and e.completed_at >= e.started_at
    """,
    {"limit": 100_000},
)


def estimates(transaction: Transaction, pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Row]:
    """Read what is kept of some groups, pairs of job type and key."""
    wanted = json.dumps([{"job_type": job_type, "key": key} for job_type, key in pairs])
    return {(row["job_type"], row["key"]): row for row in transaction.rows(READ_ESTIMATES, pairs=wanted)}


def of_type(transaction: Transaction, job_type: str, limit: int = MOST_KEYS + 1) -> Sequence[Row]:
    """List the estimates of a job type: of all its jobs under the key '', then of each key."""
    return transaction.rows(LIST_OF_TYPE, job_type=job_type, limit=limit)


def types(transaction: Transaction, since: datetime, limit: int, after: str = "") -> Sequence[Row]:
    """List job types with what is foretold of all their jobs, and how true that was since a day.

    :param after: the last type of the page before.
    """
    return transaction.rows(LIST_TYPES, since=since, limit=limit, after=after)


def coverage(transaction: Transaction, job_type: str, limit: int) -> Sequence[Row]:
    """List how true forecasts of a job type were, by day, the newest first."""
    return transaction.rows(LIST_COVERAGE, job_type=job_type, limit=limit)


def recent_coverage(transaction: Transaction, since: datetime) -> Row:
    """Count how many runs there were since a day, and how many were outside of what was foretold."""
    return transaction.rows(RECENT_COVERAGE, since=since)[0]


def write(transaction: Transaction, rows: Sequence[Row]) -> int:
    """Write estimates in place of those of the same groups."""
    return transaction.count(WRITE_ESTIMATES, rows=json.dumps(rows)) if rows else 0


def count_coverage(transaction: Transaction, rows: Sequence[Row], now: datetime) -> int:
    """Add to the counts of today.

    :param rows: ``job_type``, how many ``runs``, how many of these were foretold (``judged``), of these ``below``,
        ``above`` and ``within`` a fifth, the sum of their errors, and the ``seconds`` of all.
    """
    return transaction.count(COUNT_COVERAGE, rows=json.dumps(rows), now=now) if rows else 0


def foretold(transaction: Transaction, job_ids: Sequence[str]) -> Sequence[Row]:
    """Read what was foretold of some jobs."""
    return transaction.rows(READ_FORETOLD, job_ids=list(job_ids)) if job_ids else []


def prune(transaction: Transaction, now: datetime) -> int:
    """Delete what is old, and the keys of a job type beyond those that ran last; returns how many."""
    before = now - _RETENTION
    pruned = transaction.count(PRUNE_ESTIMATES, before=before, most=MOST_KEYS)
    return pruned + transaction.count(PRUNE_COVERAGE, before=before)


def runs(transaction: Transaction, limit: int) -> Sequence[Row]:
    """List the newest runs that completed, with when they were submitted; times are seconds since the epoch."""
    return transaction.rows(READ_RUNS, limit=limit)
