"""What submitting costs: in bulk beside a loop of ``delay()``, one by one beside a bare INSERT."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

import psycopg2

from benchmarks.apps.work import payload
from benchmarks.contenders import CELERY, PREFORK
from benchmarks.drain import WARM_UP, submit_noops
from benchmarks.processes import Client, running
from benchmarks.report import Findings, Options
from benchmarks.stacks import SCHEMA, Bench, say
from benchmarks.statistics import percentile, ratios, summary
from jobplatform.records import new_job_id

_DELAYS = 2_000
#: Single submissions are timed in blocks between blocks of bare INSERTs.
_BLOCKS, _BLOCK_SIZE = 12, 50
#: What the table fills in by itself.
_DEFAULTED = ("created_at", "updated_at")

Timings = dict[str, list[float]]


def measure(bench: Bench, options: Options, findings: Findings) -> None:
    """Submit in bulk, in a loop and one by one, with no worker about but the controller running."""
    rounds = []
    for number in range(options.rounds):
        bench.wipe()
        with running(bench, PREFORK, workers=False):
            rounds.append(_round(bench, options.jobs, reverse=bool(number % 2)))
        say(f"  round {number + 1}: {', '.join(f'{name} {value:,.3g}' for name, value in rounds[-1].items())}")
    columns = {name: [found[name] for found in rounds] for name in rounds[0]}
    for name, values in columns.items():
        findings.extra(name, summary(values))
    bulk = ratios(columns["submit_many_per_s"], columns["delay_per_s"])
    single = ratios(columns["submit_p50_ms"], columns["insert_commit_p50_ms"])
    findings.key("submit_many_x_delay", summary(bulk))
    findings.key("submit_p50_x_insert", summary(single))
    findings.rounds["submit"] = rounds


def _round(bench: Bench, jobs: int, reverse: bool) -> dict[str, float]:
    with Client(bench, PREFORK) as ours, Client(bench, CELERY) as theirs:
        found: dict[str, float] = {}

        def submit_many() -> None:
            ours.run(submit_noops, PREFORK.module, WARM_UP)
            found["submit_many_per_s"] = jobs / ours.run(submit_noops, PREFORK.module, jobs)

        def delay() -> None:
            theirs.run(submit_noops, CELERY.module, WARM_UP)
            found["delay_per_s"] = _DELAYS / theirs.run(submit_noops, CELERY.module, _DELAYS)

        for part in (delay, submit_many) if reverse else (submit_many, delay):
            part()
        timings = ours.run(time_singles, PREFORK.module, SCHEMA)
    for name, seconds in timings.items():
        found[f"{name}_p50_ms"] = 1000 * percentile(seconds, 0.5)
    return found


def time_singles(module: str, schema: str) -> Timings:
    """Submit jobs one by one, as a client, in turn with bare INSERTs of the same rows into the same table."""
    submit = import_module(module).noop.submit
    connection = psycopg2.connect(os.environ["DATABASE_URL"])
    insert = _bare_insert(connection, schema, submit(**payload(0)).id)

    def insert_and_commit() -> None:
        insert()
        connection.commit()

    timings: Timings = {"submit": [], "insert_commit": [], "insert_autocommit": []}
    for block in range(_BLOCKS):
        connection.autocommit = False
        timings["submit"] += _timed(lambda number: submit(**payload(number)), block)
        timings["insert_commit"] += _timed(lambda _: insert_and_commit(), block)
        connection.autocommit = True
        timings["insert_autocommit"] += _timed(lambda _: insert(), block)
    connection.close()
    return timings


def _timed(action: Callable[[int], Any], block: int) -> list[float]:
    seconds = []
    for number in range(block * _BLOCK_SIZE, (block + 1) * _BLOCK_SIZE):
        started = time.perf_counter()
        action(number)
        seconds.append(time.perf_counter() - started)
    return seconds


def _bare_insert(connection: Any, schema: str, job_id: str) -> Callable[[], None]:
    """Make a function that inserts the row of a submitted job once more, under another id."""
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "select column_name from information_schema.columns where table_schema = %s and table_name = 'jobs'",
            (schema,),
        )
        names = [name for (name,) in cursor.fetchall() if name not in _DEFAULTED]
        # As texts, which PostgreSQL takes for every type.
        texts = ", ".join(f"{name}::text" for name in names)
        cursor.execute(f"select {texts} from {schema}.jobs where job_id = %s", (job_id,))
        row = {name: value for name, value in zip(names, cursor.fetchone(), strict=True) if value is not None}
    places = ", ".join(f"%({name})s" for name in row)
    sql = f"insert into {schema}.jobs ({', '.join(row)}) values ({places})"
    cursor = connection.cursor()

    def insert() -> None:
        cursor.execute(sql, {**row, "job_id": new_job_id()})

    return insert
