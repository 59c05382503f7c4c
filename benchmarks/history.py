"""Whether millions of finished jobs in the tables slow down those that are to be done."""

from __future__ import annotations

import time

from benchmarks.contenders import PREFORK
from benchmarks.drain import Drain, drain
from benchmarks.report import Findings, Options
from benchmarks.stacks import SCHEMA, Bench, say
from benchmarks.statistics import ratios, summary

_SCHEMA = "history"
_ROWS = 2_000_000

# Jobs of the last 30 days, their ids ordered by time as ours are.
_SEED_JOBS = f"""
    insert into {_SCHEMA}.jobs (job_id, job_type, status, priority, payload, created_at, updated_at, enqueued_at,
        started_at, completed_at, queue, worker_id, result)
    select uuidv7(at - now()), 'reports.render_' || n %% 20, 'COMPLETED', 1 + n %% 5,
        jsonb_build_object('args', jsonb_build_array(), 'kwargs', jsonb_build_object('report', n, 'format', 'pdf')),
        at, at + interval '1 s', at, at + interval '0.4 s', at + interval '0.9 s', 'celery',
        'celery@host-' || n %% 50, jsonb_build_object('pages', n %% 90)
    from generate_series(1, %s) as n, lateral (select now() - (%s - n) * interval '30 days' / %s as at) as moment
"""
_SEED_EXECUTIONS = f"""
    insert into {_SCHEMA}.job_executions (job_id, worker_id, attempt_number, started_at, completed_at, status, metrics)
    select job_id, worker_id, 1, started_at, completed_at, status,
        jsonb_build_object('pid', 4711, 'wait', 0.4, 'run', 0.5)
    from {_SCHEMA}.jobs order by created_at
"""


def measure(bench: Bench, options: Options, findings: Findings) -> None:
    """Drain the same queue beside a full history and beside empty tables, in turn."""
    findings.extra("history_seed_s", summary([seed(bench)]))
    drains: dict[str, list[Drain]] = {SCHEMA: [], _SCHEMA: []}
    findings.rounds["history"] = drains
    for number in range(options.rounds):
        for schema in list(drains)[:: -1 if number % 2 else 1]:
            done = drain(bench, PREFORK, options.jobs, schema, history=schema == _SCHEMA)
            drains[schema].append(done)
            say(f"  round {number + 1}: {schema} {done.rate:,.0f}/s")
    empty, full = ([done.rate for done in drains[schema]] for schema in (SCHEMA, _SCHEMA))
    findings.key("drain_2m_rows_x_empty", summary(ratios(full, empty)))
    findings.extra("drain_2m_rows_per_s", summary(full))
    findings.extra("rows_complete_2m_rows_s", summary([done.rows_complete or 0.0 for done in drains[_SCHEMA]]))


def seed(bench: Bench) -> float:
    """Write the history with every index in place, and return the seconds that it took."""
    bench.migrate(_SCHEMA)
    started = time.monotonic()
    # The rows are known to fit together, so the seeding need not check each reference.
    bench.query("set session_replication_role = replica")
    bench.query("set synchronous_commit = off")
    bench.query(_SEED_JOBS, _ROWS, _ROWS, _ROWS)
    bench.query(_SEED_EXECUTIONS)
    bench.query("reset synchronous_commit")
    bench.query("reset session_replication_role")
    for table in ("jobs", "job_executions"):
        bench.query(f"vacuum (analyze) {_SCHEMA}.{table}")
    say(f"  {_ROWS:,} jobs seeded in {time.monotonic() - started:.0f} s")
    return time.monotonic() - started
