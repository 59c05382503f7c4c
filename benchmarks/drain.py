"""How fast a full queue is worked off, all processes being up and warm before the clock starts."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from benchmarks.apps.work import payload
from benchmarks.contenders import CELERY, CELERY_PG, PREFORK, SOLO2, Contender
from benchmarks.cpu import Meter
from benchmarks.processes import Client, Running, freeze, running
from benchmarks.report import Findings, Options
from benchmarks.stacks import NOOP, SCHEMA, Bench, BenchmarkError, say, wait_until
from benchmarks.statistics import ratios, summary, worst

CONTENDERS = (CELERY, CELERY_PG, PREFORK, SOLO2)
#: Jobs that run before the clock starts, so that every process has imported and connected.
WARM_UP = 100
_PATIENCE_SECONDS = 300.0
_QUEUE_POLL_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Drain:
    """One drained queue.

    :param rows_complete: seconds from the last job's end until every row said so; None for those without rows.
    :param cpu_us: processor time a job until then, in microseconds, of each kind of process.
    """

    contender: str
    jobs: int
    seconds: float
    rows_complete: float | None
    cpu_us: dict[str, int]

    @property
    def rate(self) -> float:
        """Jobs a second."""
        return self.jobs / self.seconds


def measure(bench: Bench, options: Options, findings: Findings) -> None:
    """Drain the same queue with every contender, round by round."""
    drains: dict[str, list[Drain]] = {contender.name: [] for contender in CONTENDERS}
    findings.rounds["drain"] = drains
    for number in range(options.rounds):
        for contender in CONTENDERS[:: -1 if number % 2 else 1]:
            done = drain(bench, contender, options.jobs)
            drains[contender.name].append(done)
            say(f"  round {number + 1}: {contender.name} {done.rate:,.0f}/s")
    rates = {name: [done.rate for done in several] for name, several in drains.items()}
    for name, several in rates.items():
        findings.extra(f"drain_{name}_per_s", summary(several))
    findings.key("drain_prefork_x_celery", summary(ratios(rates["prefork"], rates["celery"])))
    findings.key("drain_prefork_x_celery_pg", summary(ratios(rates["prefork"], rates["celery_pg"])))
    findings.key("drain_solo2_x_celery", summary(ratios(rates["solo2"], rates["celery"])))
    late = [done.rows_complete for several in drains.values() for done in several]
    findings.key("rows_complete_s", worst([seconds for seconds in late if seconds is not None]))


def drain(
    bench: Bench,
    contender: Contender,
    jobs: int,
    schema: str = SCHEMA,
    history: bool = False,
    prepare: Callable[[Running], None] = lambda _: None,
) -> Drain:
    """Fill the queue before frozen workers, let them go, and measure until queue and leases are empty.

    :param history: keep the rows that the schema holds.
    :param prepare: called when all processes are up; what it puts beside them is ended with them.
    :raises BenchmarkError: when a job did not run, ran twice, or has a row that says otherwise.
    """
    bench.wipe(schema, history)
    with running(bench, contender, schema) as processes, Client(bench, contender, schema) as client:
        prepare(processes)
        warm_up(bench, client, contender, schema)
        thaw = freeze(processes)
        client.run(submit_noops, contender.module, jobs)
        meter, started = Meter(bench, processes), time.perf_counter()
        thaw()
        wait_until_drained(bench)
        ended = time.perf_counter()
        if contender.durable:
            wait_until(lambda: not bench.unfinished(schema), "all rows are completed", _PATIENCE_SECONDS)
        rows_complete = time.perf_counter() - ended if contender.durable else None
        cpu_us = {role: round(1e6 * seconds / jobs) for role, seconds in meter.read().items()}
        runs = client.run(count_runs, contender.module, len(processes.nodes))
        _verify(bench, contender, jobs + WARM_UP, schema, runs)
    return Drain(contender.name, jobs, ended - started, rows_complete, cpu_us)


def warm_up(bench: Bench, client: Client, contender: Contender, schema: str = SCHEMA) -> None:
    """Run some jobs and return when all traces of them are where they belong."""
    client.run(submit_noops, contender.module, WARM_UP)
    wait_until_drained(bench)
    if contender.durable:
        wait_until(lambda: not bench.unfinished(schema), "the rows of the warm-up are completed")


def wait_until_drained(bench: Bench) -> None:
    """Return when the queue and the leases are empty.

    The stock transport pops and leases in two steps, between which both can look empty, so they are looked at twice.
    """

    def drained() -> bool:
        return bench.is_drained() and bench.is_drained()

    wait_until(drained, "the queue is drained", _PATIENCE_SECONDS, _QUEUE_POLL_SECONDS)


def submit_noops(module: str, jobs: int) -> float:
    """Submit no-op jobs, as a client, and return the seconds that it took."""
    tasks = import_module(module)
    payloads = [payload(number) for number in range(jobs)]
    started = time.perf_counter()
    tasks.submit_noops(payloads)
    return time.perf_counter() - started


def count_runs(module: str, nodes: int) -> int:
    """Ask the workers, as a client, how many no-op jobs they ran."""
    replies: dict[str, Any] = import_module(module).app.control.inspect(timeout=10, limit=nodes).stats() or {}
    return sum(stats["total"].get(NOOP, 0) for stats in replies.values())


def _verify(bench: Bench, contender: Contender, jobs: int, schema: str, runs: int) -> None:
    """Raise unless every job ran once and left the record that the contender keeps."""
    found = {"runs": runs, **_records(bench, contender, schema)}
    wrong = {name: count for name, count in found.items() if count != jobs}
    if wrong:
        raise BenchmarkError(f"{contender.name}: of {jobs} jobs, found {wrong}")


def _records(bench: Bench, contender: Contender, schema: str) -> dict[str, int]:
    if contender is CELERY_PG:
        extended = "select count(*) from celery_taskmeta where status = 'SUCCESS' and name = %s and worker is not null"
        return {"extended results": _count(bench, extended, NOOP)}
    if not contender.durable:
        return {}
    counted = f"select count(*) from {schema}.jobs j where job_type = %s"
    once = f"(select count(*) from {schema}.job_executions e where e.job_id = j.job_id and e.status = 'COMPLETED') = 1"
    return {
        "rows": _count(bench, counted, NOOP),
        "rows completed by one execution": _count(bench, f"{counted} and status = 'COMPLETED' and {once}", NOOP),
    }


def _count(bench: Bench, sql: str, *values: Any) -> int:
    return int(bench.query(sql, *values)[0][0])
