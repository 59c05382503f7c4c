"""Schedules: every fire once, in time, while beats are killed; and what a tick costs beside many rows.

``python -m benchmarks.schedules`` prints the figures and writes ``build/schedules.json``.
"""

from __future__ import annotations

import argparse
import random
import signal
import statistics
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.contenders import PREFORK
from benchmarks.processes import Program, celery
from benchmarks.report import Findings, Options, as_json, table, write_json
from benchmarks.stacks import NOOP, SCHEMA, Bench, open_bench, say, wait_until
from benchmarks.statistics import Summary, percentile, worst
from jobplatform.scheduling.fires import TypeFacts
from jobplatform.scheduling.ticker import Ticker
from jobplatform.settings import Settings
from jobplatform.store.database import Database

#: Rows in all, and those that fire every second.
ROWS, BUSY = 100_000, 200
BEATS = 3
#: Seconds between two kills.
_BETWEEN_KILLS = (3.0, 8.0)
_IDLE_ROWS = (1_000, 1_000_000)
_TICKS = 400
#: A beat that is killed has a new one after so many seconds.
_AWAY_SECONDS = 1.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write; 1 means that a fire was missed or doubled."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.schedules", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0, help="for how long beats are killed")
    parser.add_argument("--seed", type=int, default=1, help="of the times at which they are")
    parser.add_argument("--json", type=Path, default=Path("build/schedules.json"), help="where all figures go")
    asked = parser.parse_args(arguments)
    findings, started = Findings(), time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with open_bench() as bench:
        measure_fires(bench, findings, asked.seconds, random.Random(asked.seed))
        measure_idle(bench, findings)
    write_json(asked.json, as_json(findings, Options(1, BUSY), time.monotonic() - started))
    print(table(findings))
    print(f"\n{time.monotonic() - started:.0f} s; all figures are in {asked.json}")
    return 1 if findings.problems else 0


def measure_fires(bench: Bench, findings: Findings, seconds: float, chance: random.Random) -> None:
    """Kill beats at random while rows fire, and count what was fired."""
    seed_rows(bench, ROWS - BUSY, "0 0 1 1 *", "idle")
    seed_rows(bench, BUSY, "@every 1s", "busy")
    beats = [_beat(bench, f"beat{number}") for number in range(BEATS)]
    planned = f"select count(*) from {SCHEMA}.job_schedules where next_run is null"
    wait_until(lambda: bench.query(planned) == [(0,)], "all rows are planned", 180)
    say(f"{ROWS:,} rows are planned, {BUSY} fire every second; beats are killed for {seconds:g} s ...")
    begin = datetime.now(UTC) + timedelta(seconds=1)
    kills = _kill(bench, beats, time.monotonic() + seconds, chance)
    end = datetime.now(UTC) - timedelta(seconds=1)
    wait_until(lambda: _is_fired_until(bench, end), "the last fires", 30)
    for beat in beats:
        beat.process.terminate()
        beat.stop()
    _judge(bench, findings, begin, end, kills)


def seed_rows(bench: Bench, count: int, cron: str, name: str) -> None:
    """Write rows that nobody has planned yet."""
    bench.query(
        f"insert into {SCHEMA}.job_schedules (name, job_type, cron_expression, misfire, overlap) "
        "select %s || n, %s, %s, 'all', 'allow_all' from generate_series(1, %s) as n",
        name, NOOP, cron, count,
    )  # fmt: skip


def _beat(bench: Bench, name: str) -> Program:
    return Program(name, celery(PREFORK, "beat"), bench.environment(PREFORK), bench.logs)


def _kill(bench: Bench, beats: list[Program], until: float, chance: random.Random) -> int:
    """Kill a beat now and then, and start another in its place; returns how often."""
    kills = 0
    while time.monotonic() < until:
        time.sleep(min(chance.uniform(*_BETWEEN_KILLS), max(0.0, until - time.monotonic())))
        place = chance.randrange(len(beats))
        beats[place].process.kill()
        beats[place].stop()
        kills += 1
        time.sleep(_AWAY_SECONDS)
        beats[place] = _beat(bench, f"beat{BEATS + kills}")
    return kills


def _is_fired_until(bench: Bench, end: datetime) -> bool:
    sql = f"select count(*) from {SCHEMA}.job_schedules where cron_expression = '@every 1s' and last_run < %s"
    return bench.query(sql, end) == [(0,)]


def _judge(bench: Bench, findings: Findings, begin: datetime, end: datetime, kills: int) -> None:
    rows = bench.query(
        f"select schedule_id, fire_at, extract(epoch from created_at - fire_at)::float8 from {SCHEMA}.jobs "
        "where fire_at between %s and %s", begin, end,
    )  # fmt: skip
    whole = int(end.timestamp()) - int(begin.timestamp())
    expected, distinct = BUSY * whole, len({row[:2] for row in rows})
    late = [row[2] for row in rows]
    figures = {
        "schedules_missing": expected - distinct,
        "schedules_doubled": len(rows) - distinct,
        "schedules_late_p99_s": percentile(late, 0.99),
    }
    for name, value in figures.items():
        findings.key(name, Summary(value, value, value))
    more = {"fires": len(rows), "kills": kills, "late_p50_s": percentile(late, 0.5), "late_max_s": max(late)}
    for name, value in more.items():
        findings.extra(name, Summary(value, value, value))
    wrong = {name: count for name, count in figures.items() if name != "schedules_late_p99_s" and count}
    if wrong:
        findings.problems.append(f"of {expected} fires: {wrong}")


def measure_idle(bench: Bench, findings: Findings) -> None:
    """Tick while nothing is due, beside few rows and beside many."""
    medians = []
    for rows in _IDLE_ROWS:
        bench.query(f"truncate {SCHEMA}.job_schedules")
        seed_rows(bench, rows, "0 0 1 1 *", "idle")
        bench.query(f"update {SCHEMA}.job_schedules set next_run = now() + interval '1 day'")
        bench.query(f"vacuum (analyze) {SCHEMA}.job_schedules")
        medians.append(_idle_tick(bench))
        findings.extra(f"idle_tick_{rows}_rows_ms", Summary(*[medians[-1] * 1000] * 3))
        say(f"idle beside {rows:,} rows: {medians[-1] * 1000:.2f} ms a tick")
    findings.key("schedules_idle_tick_x", worst([medians[1] / medians[0]]))


def _idle_tick(bench: Bench) -> float:
    database = Database(Settings(database_url=bench.database_url, schema=SCHEMA), pool_size=2, only_indexes=True)
    ticker = Ticker(database, lambda job_type: TypeFacts(), timedelta(seconds=10))
    times = []
    for _ in range(_TICKS):
        began = time.perf_counter()
        now = datetime.now(UTC)
        assert not ticker.run_once(now)
        ticker.pause(now)
        times.append(time.perf_counter() - began)
    database.close()
    return statistics.median(times)


if __name__ == "__main__":
    sys.exit(main())
