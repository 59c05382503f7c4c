"""A load that rises several-fold at a time that a schedule announces, for real: with the announcement, and without.

A controller keeps two to five workers and scales them; beat fires a schedule, whose job brings many jobs at once. In
the control run the schedule has no past, so nobody knows what it will bring. Shown are how many workers were up when
it fired and how long its jobs waited, against what they may.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import psutil

from benchmarks.contenders import PREFORK
from benchmarks.processes import Client, Program, celery, running
from benchmarks.report import aligned, machine, write_json
from benchmarks.stacks import Bench, open_bench, wait_until
from benchmarks.statistics import summary

_OURS = replace(PREFORK, module="benchmarks.apps.surge")
_LEAST, _MOST = 2, 5
_SURGE, _SURGE_SECONDS = 16, 1.5
_WAIT_SLO = 6.0
#: The schedule is added so long before it fires, in seconds.
_AHEAD = 15
_SETTINGS = {
    "JOBPLATFORM_FLEET": "local",
    "JOBPLATFORM_FLEET_MIN": f"{_LEAST}",
    "JOBPLATFORM_FLEET_MAX": f"{_MOST}",
    "JOBPLATFORM_FLEET_OPTIONS": "-c 1 -l WARNING --without-mingle --without-gossip",
    "JOBPLATFORM_FLEET_AT_EXIT": "drain",
    "JOBPLATFORM_SCALER": "auto",
    "JOBPLATFORM_SCALE_SECONDS": "1",
    "JOBPLATFORM_SCALE_HORIZON_SECONDS": "0",
    "JOBPLATFORM_SCALE_COOLDOWN_SECONDS": "5",
    "JOBPLATFORM_SAMPLE_SECONDS": "1",
    "JOBPLATFORM_WORKER_START_SECONDS": "2",
    "JOBPLATFORM_WAIT_SLO_SECONDS": f"{_WAIT_SLO}",
}


class Found(NamedTuple):
    """What came of one surge: workers at its time, the longest wait in seconds, and the share that waited too long."""

    workers: int
    longest: float
    late: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write; 1 means that an announced surge broke the promise."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.surge", description=__doc__)
    parser.add_argument("--data", type=Path, help="not needed: nothing but this machine is measured")
    parser.add_argument("--json", type=Path, default=Path("build/surge.json"), help="where all figures go")
    parser.add_argument("--seeds", type=int, default=3, help="surges of each kind; medians are shown")
    asked = parser.parse_args(arguments)
    with open_bench() as bench:
        bench.settings = _SETTINGS
        found = {
            way: [_surge(bench, way == "announced") for _ in range(asked.seeds)] for way in ("announced", "unknown")
        }
    rows = [["surge", "workers when it came", f"longest wait, s (of {_WAIT_SLO:g})", "range", "waited too long, %"]]
    for way, surges in found.items():
        longest = summary([each.longest for each in surges])
        workers, late = (summary([float(each[place]) for each in surges]).median for place in (0, 2))
        spread = f"{longest.low:.1f} - {longest.high:.1f}"
        rows.append([way, f"{workers:.0f}", f"{longest.median:.1f}", spread, f"{100 * late:.0f}"])
    print(aligned(rows))
    met = all(each.workers == _MOST and each.longest < _WAIT_SLO for each in found["announced"])
    print(f"\ngoal: {_MOST} workers are up when an announced surge comes, and no job waits too long: "
          f"{'met' if met else 'MISSED'}")  # fmt: skip
    write_json(asked.json, {"surge": found, "met": met, "machine": machine()})
    return 0 if met else 1


def _surge(bench: Bench, announced: bool) -> Found:
    """Let a schedule bring its jobs to an idle fleet and tell what came of them."""
    bench.wipe()
    for table in ("job_schedules", "queue_samples", "worker_samples", "scale_decisions", "fleet_wishes", "workers"):
        bench.query(f"delete from bench.{table}")
    with running(bench, _OURS, workers=False), _beat(bench), Client(bench, _OURS) as client, _steady(client):
        wait_until(lambda: _alive(bench) == _LEAST, "the least workers are up")
        at = int(time.time()) + _AHEAD
        _add_schedule(bench, at, announced)
        wait_until(lambda: len(_waits(bench)) == _SURGE, "the jobs of the schedule have ended", 120)
        waits = _waits(bench)
        up = bench.query(
            "select count(*) from bench.workers "
            "where started_at < to_timestamp(%s) and last_seen_at >= to_timestamp(%s)",
            at,
            at,
        )
        pids = [int(row[0]) for row in bench.query("select pid from bench.workers")]
    wait_until(lambda: not any(map(psutil.pid_exists, pids)), "the workers have left with their controller")
    return Found(int(up[0][0]), max(waits), sum(wait > _WAIT_SLO for wait in waits) / len(waits))


@contextmanager
def _beat(bench: Bench) -> Iterator[None]:
    program = Program("beat", celery(_OURS, "beat"), bench.environment(_OURS), bench.logs)
    try:
        yield
        program.check_alive()
    finally:
        program.process.terminate()
        program.stop()


@contextmanager
def _steady(client: Client) -> Iterator[None]:
    """Submit half a second of work a second while the block runs."""
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(0.5):
            client.run(submit_steady)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def submit_steady() -> None:
    """Submit one job of the steady load, as a client."""
    import_module(_OURS.module).steady.submit(0.25)


def _alive(bench: Bench) -> int:
    return int(bench.query("select count(*) from bench.workers where status = 'alive'")[0][0])


def _waits(bench: Bench) -> list[float]:
    found = bench.query(
        "select (e.metrics->>'wait')::float8 from bench.jobs j join bench.job_executions e using (job_id) "
        "where j.root_id <> j.job_id and e.completed_at is not null"
    )
    return [float(row[0]) for row in found]


def _add_schedule(bench: Bench, at: int, announced: bool) -> None:
    """Add a schedule that fires at a second of the epoch, as its long interval has it, and what it brought before."""
    template = json.dumps({"args": [_SURGE, _SURGE_SECONDS], "kwargs": {}})
    ((schedule,),) = bench.query(
        "insert into bench.job_schedules (name, job_type, cron_expression, payload_template) "
        "values ('surge', 'benchmarks.apps.surge.surge', %s, %s) returning schedule_id",
        f"@every {at}s",
        template,
    )
    if not announced:
        return
    bench.query(
        "insert into bench.jobs (job_id, job_type, status, payload, queue, root_id, schedule_id, fire_at, created_at, "
        "started_at, completed_at) "
        "select case n when 0 then f.id else gen_random_uuid() end, 'benchmarks.apps.surge.steady', 'COMPLETED', '{}', "
        "'celery', case when n > 0 then f.id end, case n when 0 then %s end, "
        "case n when 0 then now() - interval '1 day' end, now() - interval '1 day', now() - interval '1 day', "
        "now() - interval '1 day' + %s * interval '1 second' "
        "from (select gen_random_uuid() as id) f, generate_series(0, %s) n",
        schedule,
        _SURGE_SECONDS,
        _SURGE,
    )


if __name__ == "__main__":
    sys.exit(main())
