"""How long it takes to train all four models, one after the other, each as a process that reads 100,000 rows.

Everything is as in the product: rows in PostgreSQL, ``python -m jobplatform.learning KIND``, two threads. The rows are
made up.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from benchmarks.contenders import PREFORK
from benchmarks.processes import ROOT
from benchmarks.report import aligned, machine, write_json
from benchmarks.stacks import SCHEMA, Bench, BenchmarkError, open_bench
from benchmarks.statistics import summary
from benchmarks.traces.speed import made_up
from jobplatform.store import models

MOST_SECONDS = 60.0
ROWS = 100_000
_TYPES, _KEYS, _QUEUES, _WORKERS = 20, 500, 4, 8
#: Seconds between two samples.
_STEP = 30.0
#: Samples after which one of the workers dies, and another of the same name begins.
_LIFE = 1_000
_DRIFT = 120
_MIB = 1024 * 1024

Lines = Iterator[tuple[Any, ...]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write; 1 means that the goal was missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.trainings", description=__doc__)
    parser.add_argument("--data", type=Path, help="not needed: the rows are made up")
    parser.add_argument("--json", type=Path, default=Path("build/trainings.json"), help="where all figures go")
    parser.add_argument("--seeds", type=int, default=3, help="rounds; the median is shown")
    asked = parser.parse_args(arguments)
    found: dict[str, list[float]] = {kind: [] for kind in models.KINDS}
    with open_bench() as bench:
        _fill(bench, random.Random(1))
        for _ in range(asked.seeds):
            for kind in models.KINDS:
                found[kind].append(_train(bench, kind))
    rows = [["model", "s", "range"]]
    found["all"] = [sum(each) for each in zip(*found.values(), strict=True)]
    for kind, seconds in found.items():
        each = summary(seconds)
        rows.append([kind, f"{each.median:.1f}", f"{each.low:.1f} - {each.high:.1f}"])
    print(aligned(rows))
    met = summary(found["all"]).median <= MOST_SECONDS
    print(f"\ngoal: all within {MOST_SECONDS:g} s at {ROWS:,} rows each: {'met' if met else 'MISSED'}")
    write_json(asked.json, {"trainings": found, "met": met, "machine": machine()})
    return 0 if met else 1


def _train(bench: Bench, kind: str) -> float:
    """Give the seconds of one training, from the start of its process to its end."""
    began = time.monotonic()
    environment = {**bench.environment(PREFORK), "JOBPLATFORM_SCALE_SECONDS": str(_STEP)}
    command = [sys.executable, "-m", "jobplatform.learning", kind]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchmarkError(f"{kind}: {done.stderr[-500:]}")
    print(f"  {done.stderr.strip().splitlines()[-1]}", file=sys.stderr, flush=True)
    return time.monotonic() - began


def _fill(bench: Bench, luck: random.Random) -> None:
    """Write what each kind learns from; the rows fit together, so no reference has to be checked."""
    bench.migrate(SCHEMA)
    bench.query("set session_replication_role = replica")
    now = time.time()
    for fill in (_runs, _retries, _queues, _lives):
        fill(bench, luck, now)
    bench.query("reset session_replication_role")
    for table in ("jobs", "job_executions", "retry_decisions", "queue_samples", "worker_samples", "workers"):
        bench.query(f"vacuum (analyze) {SCHEMA}.{table}")


def _copy(bench: Bench, table: str, columns: str, lines: Lines) -> None:
    text = io.StringIO()
    for line in lines:
        text.write("\t".join(r"\N" if value is None else str(value) for value in line) + "\n")
    text.seek(0)
    with bench.postgres.cursor() as cursor:
        cursor.copy_expert(f"copy {SCHEMA}.{table} ({columns}) from stdin", text)


def _at(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds)) + f".{int(seconds % 1 * 1e6):06d}+00"


def _runs(bench: Bench, luck: random.Random, now: float) -> None:
    """Let jobs of some types and keys run, each key for about as long as it usually does."""
    usual = [luck.lognormvariate(2.0, 1.5) for _ in range(_KEYS)]
    jobs, executions = [], []
    for number in range(ROWS):
        key = int(luck.paretovariate(0.7)) % _KEYS
        ran, began = usual[key] * luck.lognormvariate(0.0, 0.3), now - ROWS + number
        job_id = UUID(int=number + 1)
        jobs.append((job_id, f"type{key % _TYPES}", "COMPLETED", f"key{key}", _at(began), _at(began)))
        executions.append((job_id, "w", 1, "COMPLETED", _at(began), _at(began + ran)))
    _copy(bench, "jobs", "job_id, job_type, status, duration_key, created_at, updated_at", iter(jobs))
    columns = "job_id, worker_id, attempt_number, status, started_at, completed_at"
    _copy(bench, "job_executions", columns, iter(executions))


def _retries(bench: Bench, luck: random.Random, now: float) -> None:
    """Let retries of a thousand fingerprints end."""
    columns = (
        "job_id, attempt, job_type, action, delay_seconds, reason, decided_by, decided_at, features, waited_seconds, "
        "outcome, outcome_at, ended"
    )
    lines = []
    for number, each in enumerate(made_up(luck, ROWS)):
        at, outcome = now - ROWS + number, "succeeded" if each.succeeded else "failed"
        decided = (UUID(int=number + 1), 1, each.group, "retry", each.waited, "backoff", "static", _at(at))
        ended = "COMPLETED" if each.eventually else "FAILED"
        lines.append((*decided, json.dumps(dict(each.features)), each.waited, outcome, _at(at + 0.5), ended))
    _copy(bench, "retry_decisions", columns, iter(lines))


def _queues(bench: Bench, luck: random.Random, now: float) -> None:
    """Let jobs come to some queues by day and by chance."""
    steps = ROWS // _QUEUES
    for queue in range(_QUEUES):
        lines, running = [], 20
        for number in range(steps):
            at = now - (steps - number) * _STEP
            wave = 10.0 + 8.0 * math.sin(at / 86_400.0 * 2.0 * math.pi) + (20.0 if number % 120 < 4 else 0.0)
            arrived = max(0, round(luck.gauss(wave, math.sqrt(wave))))
            finished = min(running + arrived, round(running * 0.4))
            running += arrived - finished
            lines.append((f"q{queue}", _at(at), _STEP, 0, arrived, arrived, finished, running))
        columns = "queue, sampled_at, seconds, depth, arrived, started, finished, running"
        _copy(bench, "queue_samples", columns, iter(lines))


def _lives(bench: Bench, luck: random.Random, now: float) -> None:
    """Let workers live, some of which drift for an hour and die."""
    columns = (
        "worker_id, sampled_at, seconds, cpu, rss, tree_rss, open_files, slots, active, waiting, started, finished, "
        "failed, loop_wait, jitter"
    )
    steps = ROWS // _WORKERS
    for place in range(_WORKERS):
        lines = []
        for number in range(steps):
            life, age = divmod(number, _LIFE)
            dies = (life + place) % _WORKERS == 0
            sick = max(0.0, (age - _LIFE + _DRIFT) / _DRIFT) if dies else 0.0
            load = 1.0 + 0.5 * math.sin(number / 300.0) + 0.1 * luck.gauss(0.0, 1.0)
            memory = int((150.0 + 5.0 * luck.gauss(0.0, 1.0) + 90.0 * sick) * _MIB)
            lines.append((
                *(f"w{place}-{life}", _at(now - 5_000.0 - (steps - number) * _STEP), _STEP, load + sick, 60 * _MIB),
                *(memory, int(30 + 40 * sick), 2, 1, 0, age, age, 0, abs(luck.gauss(0.0, 0.02)) + 0.5 * sick),
                abs(luck.gauss(0.0, 0.02)) + 0.3 * sick,
            ))  # fmt: skip
        _copy(bench, "worker_samples", columns, iter(lines))
        seen = "worker_id, name, pid, status, started_at, last_seen_at"
        _copy(bench, "workers", seen, _ends(place, steps, now))


def _ends(place: int, steps: int, now: float) -> Lines:
    for life in range(-(-steps // _LIFE)):
        first, last = (now - 5_000.0 - (steps - number) * _STEP for number in (life * _LIFE, (life + 1) * _LIFE - 1))
        status = "stale" if (life + place) % _WORKERS == 0 and (life + 1) * _LIFE <= steps else "gone"
        yield f"w{place}-{life}", f"w{place}@bench", 1, status, _at(first), _at(last)


if __name__ == "__main__":
    sys.exit(main())
