"""How long a job waits for a worker that has nothing else to do."""

from __future__ import annotations

import math
import random
import time
from importlib import import_module

from benchmarks.apps.scratch import scratch
from benchmarks.apps.work import STARTS
from benchmarks.contenders import CELERY, PREFORK, Contender
from benchmarks.drain import warm_up
from benchmarks.processes import Client, running
from benchmarks.report import Findings, Options
from benchmarks.stacks import Bench, BenchmarkError, say
from benchmarks.statistics import percentile, ratios, summary

CONTENDERS = (CELERY, PREFORK)
#: Jobs for each contender over all rounds, and the pause before each, in seconds.
_SAMPLES = 300
_GAP = (0.02, 0.05)
_PATIENCE_SECONDS = 30

#: Seconds from just before the submit call to the job's start, and from the call's return to it.
Start = tuple[float, float]


def measure(bench: Bench, options: Options, findings: Findings) -> None:
    """Submit one job at a time to an idle prefork worker, of ours and of plain Celery."""
    rounds: dict[str, list[list[Start]]] = {contender.name: [] for contender in CONTENDERS}
    samples = math.ceil(_SAMPLES / options.rounds)
    for number in range(options.rounds):
        for contender in CONTENDERS[:: -1 if number % 2 else 1]:
            starts = _round(bench, contender, samples)
            rounds[contender.name].append(starts)
            say(f"  round {number + 1}: {contender.name} p50 {_milliseconds(starts, 0, 0.5):.2f} ms")
    for name, several in rounds.items():
        for what, place, share in (("p50", 0, 0.5), ("p99", 0, 0.99), ("after_return_p50", 1, 0.5)):
            findings.extra(f"idle_{name}_{what}_ms", summary([_milliseconds(one, place, share) for one in several]))
    ours, theirs = ([_milliseconds(one, 0, 0.5) for one in rounds[item.name]] for item in (PREFORK, CELERY))
    findings.key("idle_p50_x_celery", summary(ratios(ours, theirs)))
    findings.rounds["idle"] = rounds


def _round(bench: Bench, contender: Contender, samples: int) -> list[Start]:
    bench.wipe()
    with running(bench, contender), Client(bench, contender) as client:
        warm_up(bench, client, contender)
        client.run(time_starts, contender.module, samples // 10)
        return client.run(time_starts, contender.module, samples)


def time_starts(module: str, count: int) -> list[Start]:
    """Submit jobs one at a time, as a client, and compare the clock with what each job saw at its start."""
    submit = import_module(module).submit_stamp
    gaps = random.Random(count)
    starts = []
    for number in range(count):
        time.sleep(gaps.uniform(*_GAP))
        before = time.time()
        submit(number)
        after = time.time()
        reply = scratch().blpop(STARTS, timeout=_PATIENCE_SECONDS)
        if reply is None:
            raise BenchmarkError(f"a job did not start within {_PATIENCE_SECONDS} s")
        starts.append((float(reply[1]) - before, float(reply[1]) - after))
    return starts


def _milliseconds(starts: list[Start], place: int, share: float) -> float:
    return 1000 * percentile([start[place] for start in starts], share)
