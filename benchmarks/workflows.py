"""Workflows: a join of many, a random graph and a long chain, beside Celery's chord and chain.

``python -m benchmarks.workflows`` prints the figures and writes ``build/workflows.json``. Celery keeps its results in
Redis, with which its chords are fastest; it has nothing for a graph.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from benchmarks.apps.work import STARTS
from benchmarks.contenders import CELERY_REDIS, PREFORK, Contender
from benchmarks.drain import warm_up
from benchmarks.processes import Client, running
from benchmarks.report import Findings, Options, as_json, table, write_json
from benchmarks.stacks import SCHEMA, Bench, BenchmarkError, open_bench, say, wait_until
from benchmarks.statistics import percentile, ratios, summary

CONTENDERS = (CELERY_REDIS, PREFORK)
_PATIENCE_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many jobs each shape has."""

    join: int = 10_000
    graph: int = 1_000
    chain: int = 200


_QUICK = Sizes(join=200, graph=40, chain=8)


@dataclass(frozen=True, slots=True)
class Flow:
    """One workflow from its submission to the start of its last job, in seconds.

    :param delays: seconds from the end of the last job before to the start, of each job that waits; ours only.
    """

    contender: str
    shape: str
    submit: float
    end: float
    delays: tuple[float, ...] = ()


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write; 1 means that a job was missing or ran twice."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.workflows", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one round of few jobs, to see that it works")
    parser.add_argument("--json", type=Path, default=Path("build/workflows.json"), help="where all figures go")
    asked = parser.parse_args(arguments)
    sizes, rounds = (_QUICK, 1) if asked.quick else (Sizes(), asked.rounds)
    findings, started = Findings(), time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with open_bench() as bench:
        try:
            measure(bench, sizes, rounds, findings)
        except BenchmarkError as error:
            findings.problems.append(str(error))
    write_json(asked.json, as_json(findings, Options(rounds, sizes.join), time.monotonic() - started))
    print(table(findings))
    print(f"\n{time.monotonic() - started:.0f} s; all figures are in {asked.json}")
    return 1 if findings.problems else 0


def measure(bench: Bench, sizes: Sizes, rounds: int, findings: Findings) -> None:
    """Run all shapes with each contender in turn, round by round."""
    flows: list[Flow] = []
    findings.rounds["workflows"] = flows
    for number in range(rounds):
        for contender in CONTENDERS[:: -1 if number % 2 else 1]:
            flows += run_shapes(bench, contender, sizes)
    _report(findings, flows)


def run_shapes(bench: Bench, contender: Contender, sizes: Sizes) -> list[Flow]:
    """Run one workflow of each shape that a contender has."""
    bench.wipe()
    with running(bench, contender) as processes, Client(bench, contender) as client:
        warm_up(bench, client, contender)
        flows = [
            run_flow(bench, client, contender, "join", sizes.join, stamps=1),
            run_flow(bench, client, contender, "chain", sizes.chain, stamps=sizes.chain),
        ]
        if contender.durable:
            flows.append(run_flow(bench, client, contender, "graph", sizes.graph, stamps=sizes.graph))
        for program in processes.programs():
            program.check_alive()
    return flows


def run_flow(bench: Bench, client: Client, contender: Contender, shape: str, size: int, stamps: int) -> Flow:
    """Submit one workflow and wait for its end.

    :param size: jobs, but for the one that waits for all.
    :param stamps: jobs of it that tell when they began.
    :raises BenchmarkError: when one did not run, or ran twice.
    """
    bench.scratch.delete(STARTS)
    known = _last_job(bench)
    began, submit = client.run(submit_flow, contender.module, shape, size)
    wait_until(lambda: bench.scratch.llen(STARTS) >= stamps, f"the {shape} of {contender.name} ends", _PATIENCE_SECONDS)
    if contender.durable:
        wait_until(lambda: not _open_jobs(bench), f"the rows of the {shape} are completed", _PATIENCE_SECONDS)
    starts = sorted(map(float, bench.scratch.lrange(STARTS, 0, -1)))
    if len(starts) != stamps:
        raise BenchmarkError(f"{contender.name}, {shape}: {len(starts)} of {stamps} jobs began")
    delays = _delays(bench, known) if contender.durable else ()
    flow = Flow(contender.name, shape, submit, starts[-1] - began, delays)
    say(
        f"  {contender.name}: {shape} of {size:,}: submitted in {flow.submit:.2f} s, its last began at {flow.end:.2f} s"
    )
    return flow


def submit_flow(module: str, shape: str, size: int) -> tuple[float, float]:
    """Build and submit a workflow, as a client; returns when that began, and the seconds that it took."""
    submit = getattr(import_module(module), f"submit_{shape}")
    began = time.time()
    submit(size)
    return began, time.time() - began


def _last_job(bench: Bench) -> str:
    return str(bench.query(f"select coalesce(max(job_id::text), '') from {SCHEMA}.jobs")[0][0])


def _open_jobs(bench: Bench) -> int:
    return int(bench.query(f"select count(*) from {SCHEMA}.jobs where status <> 'COMPLETED'")[0][0])


def _delays(bench: Bench, known: str) -> tuple[float, ...]:
    """Tell how long jobs that are newer than a known one were waited for after all before them had ended."""
    rows = bench.query(
        "select extract(epoch from j.started_at - max(u.completed_at))::float8 "
        f"from {SCHEMA}.jobs j join {SCHEMA}.job_dependencies d using (job_id) "
        f"join {SCHEMA}.jobs u on u.job_id = d.depends_on_job_id where j.job_id::text > %s group by j.job_id",
        known,
    )
    return tuple(delay for (delay,) in rows)


def _report(findings: Findings, flows: Sequence[Flow]) -> None:
    for shape in ("join", "chain", "graph"):
        for what in ("submit", "end"):
            ours, theirs = (_seconds(flows, contender, shape, what) for contender in (PREFORK, CELERY_REDIS))
            findings.extra(f"workflow_{shape}_{what}_s", summary(ours))
            if theirs:
                findings.extra(f"celery_{shape}_{what}_s", summary(theirs))
                findings.key(f"workflow_{shape}_{what}_x_celery", summary(ratios(ours, theirs)))
        for name, share in (("p50", 0.5), ("p99", 0.99)):
            late = [1000 * percentile(flow.delays, share) for flow in flows if flow.shape == shape and flow.delays]
            findings.extra(f"workflow_{shape}_start_{name}_ms", summary(late))
            if (shape, name) == ("graph", "p99"):
                findings.key("workflow_start_p99_ms", summary(late))


def _seconds(flows: Sequence[Flow], contender: Contender, shape: str, what: str) -> list[float]:
    return [getattr(flow, what) for flow in flows if (flow.contender, flow.shape) == (contender.name, shape)]


if __name__ == "__main__":
    sys.exit(main())
