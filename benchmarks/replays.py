"""Replays: how many jobs run while a bug is still there, and whether all do, no faster than allowed, when it is fixed.

``python -m benchmarks.replays`` prints the figures and writes ``build/replays.json``.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.apps.work import FIXED, RUNS
from benchmarks.contenders import PREFORK, Contender
from benchmarks.processes import ROOT, Client, running
from benchmarks.report import Findings, Options, as_json, table, write_json
from benchmarks.stacks import SCHEMA, Bench, BenchmarkError, open_bench, say, wait_until
from benchmarks.statistics import worst
from jobplatform.jobs.replay import FEWEST

#: Jobs that may be sent in a second once the bug is fixed.
RATE = 100
_MODULE = "benchmarks.apps.faulty"
_WAIT_SECONDS = 300.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write; 1 means that something was wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.replays", description=__doc__)
    parser.add_argument("--data", type=Path, help="taken as the other benchmarks take it; this one makes its own")
    parser.add_argument("--seeds", type=int, default=3, help="how often it is done, each time with new jobs")
    parser.add_argument("--jobs", type=int, default=1_000, help="dead letters of one cluster")
    parser.add_argument("--json", type=Path, default=Path("build/replays.json"), help="where all figures go")
    asked = parser.parse_args(arguments)
    findings, started = Findings(), time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    found = []
    with open_bench() as bench:
        for number in range(asked.seeds):
            found.append(measure(bench, asked.jobs))
            say(f"  {number + 1}: {found[-1]}")
    for name in ("replay_share_run_with_bug", "replay_left_after_fix", "replay_rate_x_cap"):
        findings.key(name, worst([each[name] for each in found]))
    for name in ("stopped_after_s", "done_after_s"):
        findings.extra(name, worst([each[name] for each in found]))
    findings.rounds["replays"] = found
    options = Options(asked.seeds, asked.jobs)
    write_json(asked.json, as_json(findings, options, time.monotonic() - started))
    print(table(findings))
    print(f"\n{time.monotonic() - started:.0f} s; all figures are in {asked.json}")
    return 1 if findings.problems else 0


def measure(bench: Bench, jobs: int) -> dict[str, float]:
    """Let all jobs fail, replay them with the bug still there, and again when it is fixed."""
    bench.wipe()
    bench.query(f"truncate {SCHEMA}.dead_letter_jobs, {SCHEMA}.replays cascade")
    bench.scratch.flushdb()
    contender = Contender("faulty", PREFORK.application, _MODULE, PREFORK.nodes, True, PREFORK.launcher)
    with running(bench, contender), Client(bench, contender) as client:
        client.run(submit, jobs)
        wait_until(lambda: _letters(bench) == jobs, "all jobs are dead letters", _WAIT_SECONDS)
        ((cluster, clusters),) = bench.query(
            f"select max(fingerprint), count(distinct fingerprint) from {SCHEMA}.dead_letter_jobs"
        )
        if clusters != 1:
            raise BenchmarkError(f"one bug has {clusters} fingerprints")
        bench.scratch.delete(RUNS)
        stopped = replay(bench, contender, cluster, "stopped")
        ran = int(bench.scratch.get(RUNS) or 0)
        bench.scratch.set(FIXED, 1)
        done = replay(bench, contender, cluster, "done", "--rate", f"{RATE}/s")
        left = jobs - bench.count_rows("COMPLETED")
    return {
        "replay_share_run_with_bug": ran / max(FEWEST, jobs / 100),
        "replay_left_after_fix": left,
        "replay_rate_x_cap": _fastest(bench) / RATE,
        "jobs_run_with_bug": ran,
        "stopped_after_s": stopped,
        "done_after_s": done,
    }


def submit(jobs: int) -> None:
    """Submit the jobs, as a client."""
    from benchmarks.apps.faulty import submit_charges

    submit_charges(jobs)


def replay(bench: Bench, contender: Contender, cluster: str, state: str, *options: str) -> float:
    """Replay a cluster by the command line; return after how many seconds the replay was in a state and idle."""
    begun = time.monotonic()
    command = [str(Path(sys.executable).with_name("jobplatform")), "dlq", "replay", "--cluster", cluster, *options]
    environment = {**os.environ, **bench.environment(contender)}
    subprocess.run(command, check=True, env=environment, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: _state(bench) == state, f"the replay is {state}", _WAIT_SECONDS)
    wait_until(lambda: not bench.unfinished(), "nothing of it runs", _WAIT_SECONDS)
    return round(time.monotonic() - begun, 2)


def _letters(bench: Bench) -> int:
    return int(bench.query(f"select count(*) from {SCHEMA}.dead_letter_jobs where resolved_at is null")[0][0])


def _state(bench: Bench) -> str:
    return str(bench.query(f"select state from {SCHEMA}.replays order by replay_id desc limit 1")[0][0])


def _fastest(bench: Bench) -> float:
    """Give the most jobs that were sent in any second of the last replay."""
    return float(
        bench.query(
            f"""
            with sent as (
                select sent_at, count(*) as jobs from {SCHEMA}.replay_jobs
                where replay_id = (select max(replay_id) from {SCHEMA}.replays) and sent_at is not null group by 1
            )
            select max((select sum(o.jobs) from sent o
                where o.sent_at >= s.sent_at and o.sent_at < s.sent_at + interval '1 s')) from sent s
            """
        )[0][0]
    )


if __name__ == "__main__":
    sys.exit(main())
