"""How long a local worker takes from its spawn to its first job: alone, and three at once.

Four ways: a wish for so many workers that is put to a running controller, as people and the scaler do, which looks for
it every second; a fork of a process that has imported the application, which is what follows; the first such fork,
which waits for the imports; and a new process, which is what happens without it. The time counts from the moment at
which the first is asked for until the first line of the last one's first job.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from benchmarks.apps.scratch import BEGUN, RELEASE
from benchmarks.contenders import PREFORK
from benchmarks.processes import ROOT, Client, running
from benchmarks.report import aligned, machine, write_json
from benchmarks.stacks import SCHEMA, Bench, open_bench, wait_until
from benchmarks.statistics import summary
from jobplatform.transport.census import heartbeats
from jobplatform.workers.starter import Started, Starter

MOST_SECONDS = 5.0
MOST_RATIO = 1.5
_OPTIONS = "-c 1 -l WARNING --without-mingle --without-gossip"
_TOGETHER = 3
_WAYS = ("wish", "fork", "first fork", "new process")
_FLEET = {
    "JOBPLATFORM_FLEET": "local",
    "JOBPLATFORM_FLEET_MIN": "0",
    "JOBPLATFORM_FLEET_MAX": f"{_TOGETHER}",
    "JOBPLATFORM_FLEET_OPTIONS": _OPTIONS,
    "JOBPLATFORM_FLEET_AT_EXIT": "drain",
}
_OURS = replace(PREFORK, module="benchmarks.apps.beginning")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write; 1 means that a goal was missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.starting", description=__doc__)
    parser.add_argument("--data", type=Path, help="not needed: nothing but this machine is measured")
    parser.add_argument("--json", type=Path, default=Path("build/starting.json"), help="where all figures go")
    parser.add_argument("--seeds", type=int, default=7, help="rounds; the median is shown")
    asked = parser.parse_args(arguments)
    with open_bench() as bench, _controlled(bench), Client(bench, _OURS) as client:
        found = {way: [_round(bench, client, way, number) for number in range(asked.seeds)] for way in _WAYS}
    rows = [["way", "one, s", "range", f"{_TOGETHER} at once, s", "range", "x one"]]
    for way, rounds in found.items():
        alone, together = (summary([each[place] for each in rounds]) for place in (0, 1))
        ratio = together.median / alone.median
        ranges = [f"{value.low:.3f} - {value.high:.3f}" for value in (alone, together)]
        rows.append([way, f"{alone.median:.3f}", ranges[0], f"{together.median:.3f}", ranges[1], f"{ratio:.2f}"])
    print(aligned(rows))
    medians = {
        way: [summary([each[place] for each in rounds]).median for place in (0, 1)] for way, rounds in found.items()
    }
    met = {way: one <= MOST_SECONDS and several <= MOST_RATIO * one for way, (one, several) in medians.items()}
    print(f"\ngoal: one <= {MOST_SECONDS:g} s, {_TOGETHER} at once <= {MOST_RATIO:g} x one: {_words(met)}")
    write_json(asked.json, {"starting": found, "met": met, "machine": machine()})
    return 0 if met["wish"] else 1


def _words(met: Mapping[str, bool]) -> str:
    return ", ".join(f"{way} {'met' if each else 'MISSED'}" for way, each in met.items())


def _round(bench: Bench, client: Client, way: str, number: int) -> tuple[float, float]:
    """Give the seconds until one worker, and until each of several, runs a job."""
    counts = (1, _TOGETHER) if number % 2 else (_TOGETHER, 1)
    taken = {count: _first_jobs(bench, client, way, count) for count in counts}
    return taken[1], taken[_TOGETHER]


@contextmanager
def _controlled(bench: Bench) -> Iterator[None]:
    """Run a controller that keeps no workers until it is asked to."""
    bench.settings = _FLEET
    with running(bench, _OURS, workers=False):
        yield


def _wish(bench: Bench, count: int) -> None:
    bench.query(
        f"insert into {SCHEMA}.fleet_wishes (pool, wanted, published, reason, asked_by, asked_at) "
        "values ('worker', %s, 0, 'measured', 'bench', now()) "
        "on conflict (pool) do update set wanted = excluded.wanted",
        count,
    )


def _living(bench: Bench) -> list[int]:
    """Give the process ids of the workers that were heard and have not said goodbye."""
    return [said.report["pid"] for said in heartbeats(bench.redis).values() if not said.report.get("gone")]


def _by_wish(bench: Bench, client: Client, count: int) -> float:
    """Give the seconds from a wish for so many workers until each runs a job."""
    bench.scratch.flushdb()
    client.run(submit_lasting, _OURS.module, count)
    began = time.monotonic()
    _wish(bench, count)
    wait_until(lambda: bench.scratch.llen(BEGUN) == count, "each worker runs a job")
    taken = max(map(float, bench.scratch.lrange(BEGUN, 0, -1))) - began
    bench.scratch.set(RELEASE, "1")
    wait_until(lambda: bench.is_drained() and not bench.unfinished(), "the jobs have ended")
    _wish(bench, 0)
    wait_until(lambda: len(_living(bench)) == count, "the workers are heard")
    for pid in _living(bench):
        os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not _living(bench), "the workers have left")
    return taken


def _first_jobs(bench: Bench, client: Client, way: str, count: int) -> float:
    """Give the seconds from the spawn of so many workers until each runs a job."""
    if way == "wish":
        return _by_wish(bench, client, count)
    bench.scratch.flushdb()
    starter = Starter("jobplatform", _OPTIONS, bench.environment(_OURS), ROOT, signal.SIGKILL, way != "new process")
    names = [f"worker{number}@bench" for number in range(count)]
    if way == "fork":
        starter.warm(wait=True)
    client.run(submit_lasting, _OURS.module, count)
    with _ending() as started:
        began = time.monotonic()
        started += [starter.start(name) for name in names]
        wait_until(lambda: bench.scratch.llen(BEGUN) == count, "each worker runs a job")
        taken = max(map(float, bench.scratch.lrange(BEGUN, 0, -1))) - began
        bench.scratch.set(RELEASE, "1")
        wait_until(lambda: bench.is_drained() and not bench.unfinished(), "the jobs have ended")
    starter.close()
    return taken


def submit_lasting(module: str, count: int) -> None:
    """Submit jobs that run until they are let go, as a client."""
    hold = import_module(module).hold
    for _ in range(count):
        hold.submit()


@contextmanager
def _ending() -> Iterator[list[Started]]:
    """End the workers that the block has started, in their own time."""
    started: list[Started] = []
    try:
        yield started
    finally:
        for each in started:
            os.kill(each.pid, signal.SIGTERM)
        wait_until(lambda: all(each.poll() is not None for each in started), "the workers have ended")


if __name__ == "__main__":
    sys.exit(main())
