"""Limits: what they cost, whether they hold while workers are killed, and how fairly tenants share a queue.

``python -m benchmarks.limits`` prints the figures and writes ``build/limits.json``.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from importlib import import_module
from pathlib import Path

import psutil

from benchmarks.apps.work import CROWD, MOST
from benchmarks.contenders import PREFORK, Contender
from benchmarks.drain import drain
from benchmarks.processes import Client, Program, celery, running
from benchmarks.report import Findings, Options, as_json, table, write_json
from benchmarks.stacks import NOOP, QUEUE, SCHEMA, Bench, open_bench, say, wait_until
from benchmarks.statistics import Summary, percentile, ratios, summary, worst
from jobplatform.transport import keys

SLOTS, WORKERS, KILLS = 7, 4, 6
CROWDED, SLOW = "benchmarks.apps.work.crowded", "benchmarks.apps.work.slow"
#: Each tenant's weight, and how many jobs it has waiting.
WEIGHTS = {"a": 1, "b": 1, "c": 1, "d": 1, "e": 4}
BACKLOG = {"a": 40_000, "b": 400, "c": 400, "d": 400, "e": 1_600}
_WINDOW_SECONDS = 2.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write; 1 means that something was wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.limits", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="of drains with and without a limit, interleaved")
    parser.add_argument("--jobs", type=int, default=20_000, help="in each drain")
    parser.add_argument("--crowd", type=int, default=6_000, help="jobs under the limit while workers are killed")
    parser.add_argument("--seed", type=int, default=1, help="of which workers are killed")
    parser.add_argument("--json", type=Path, default=Path("build/limits.json"), help="where all figures go")
    asked = parser.parse_args(arguments)
    findings, started = Findings(), time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with open_bench() as bench:
        measure_cost(bench, Options(asked.rounds, asked.jobs), findings)
        measure_crowd(bench, findings, asked.crowd, random.Random(asked.seed))
        measure_fairness(bench, findings)
    write_json(asked.json, as_json(findings, Options(asked.rounds, asked.jobs), time.monotonic() - started))
    print(table(findings))
    print(f"\n{time.monotonic() - started:.0f} s; all figures are in {asked.json}")
    return 1 if findings.problems else 0


def set_rules(bench: Bench, *limits: tuple[str, int]) -> None:
    """Let there be just these limits, and wait until Redis knows them."""
    bench.query(f"truncate {SCHEMA}.limits, {SCHEMA}.queue_orders, {SCHEMA}.tenant_weights")
    for name, slots in limits:
        bench.query(f"insert into {SCHEMA}.limits (name, slots) values (%s, %s)", name, slots)
        _wait_for_rule(bench, name)


def _wait_for_rule(bench: Bench, name: str) -> None:
    wait_until(lambda: bool(bench.redis.hexists(keys.LIMITS, name)), f"Redis knows {name}")


def measure_cost(bench: Bench, options: Options, findings: Findings) -> None:
    """Drain the same queue with a limit that never holds anything back, and without."""
    rates: dict[bool, list[float]] = {False: [], True: []}
    for number in range(options.rounds):
        for limited in (False, True)[:: -1 if number % 2 else 1]:
            rules = [(f"type:{NOOP}", 1_000_000)] if limited else []
            bench.query(f"truncate {SCHEMA}.limits")
            done = drain(bench, PREFORK, options.jobs, prepare=lambda _, rules=rules: set_rules(bench, *rules))  # type: ignore[misc]
            rates[limited].append(done.rate)
            say(f"  round {number + 1}: {'with' if limited else 'without'} a limit {done.rate:,.0f}/s")
    findings.extra("limits_drain_none_per_s", summary(rates[False]))
    findings.extra("limits_drain_limited_per_s", summary(rates[True]))
    findings.key("limits_drain_x_none", summary(ratios(rates[True], rates[False])))


def submit(module: str, job_type: str, jobs: int, tenant: str | None = None) -> None:
    """Submit jobs without arguments, as a client."""
    task = import_module(module).app.tasks[job_type]
    task.using(**({"tenant": tenant} if tenant else {})).submit_many([{}] * jobs)


def measure_crowd(bench: Bench, findings: Findings, jobs: int, chance: random.Random) -> None:
    """Kill workers while jobs run under a limit, and count how many did at once."""
    bench.wipe()
    bench.scratch.delete(CROWD, MOST)
    with ExitStack() as started, running(bench, PREFORK, workers=False), Client(bench, PREFORK) as client:
        set_rules(bench, (f"type:{CROWDED}", SLOTS))
        workers = [_worker(bench, f"crowd-{number}") for number in range(WORKERS)]
        started.callback(lambda: _end(*workers))
        client.run(submit, PREFORK.module, CROWDED, jobs)
        for kill in range(KILLS):
            done = bench.count_rows("COMPLETED")
            goal = min(done + jobs // (2 * KILLS), jobs)
            wait_until(lambda goal=goal: bench.count_rows("COMPLETED") >= goal, "jobs complete", 120)  # type: ignore[misc]
            place = chance.randrange(WORKERS)
            for pid in _kill(workers[place]):
                bench.scratch.hdel(CROWD, str(pid))
            workers[place] = _worker(bench, f"crowd-again-{kill}")
        wait_until(lambda: bench.count_rows("COMPLETED") == jobs, "all jobs complete", 300)
        wait_until(lambda: not bench.redis.hlen("unacked"), "no lease is held")
        lost = sum(int(units) for units in bench.redis.hvals(keys.USED))
    most = bench.scratch.zscore(MOST, MOST)
    findings.key("limits_most_at_once", worst([most]))
    findings.key("limits_slots_lost", worst([lost]))
    say(
        f"{jobs} jobs under a limit of {SLOTS}, {KILLS} workers killed: {most:g} at once at the most, {lost} slots lost"
    )


def _worker(bench: Bench, name: str) -> Program:
    command = celery(PREFORK, "worker", "-c", "4", "-n", f"{name}@%h")
    return Program(name, command, bench.environment(PREFORK), bench.logs)


def _kill(worker: Program) -> list[int]:
    tree = worker.tree()
    for process in tree:
        # Those of the pool end by themselves when the worker is gone.
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(tree, timeout=10)
    worker.stop()
    return [process.pid for process in tree]


def _end(*workers: Program) -> None:
    for worker in workers:
        worker.process.terminate()
    for worker in workers:
        worker.stop()


def measure_fairness(bench: Bench, findings: Findings) -> None:
    """Let tenants share a queue, and weigh what each got while all of them had jobs waiting."""
    bench.wipe()
    contender = Contender("fair", PREFORK.application, PREFORK.module, PREFORK.nodes, True, PREFORK.launcher)
    with running(bench, contender, workers=False), Client(bench, contender) as client:
        set_rules(bench)
        bench.query(f"insert into {SCHEMA}.queue_orders (queue, fair) values (%s, true)", QUEUE)
        for tenant, weight in WEIGHTS.items():
            bench.query(f"insert into {SCHEMA}.tenant_weights values (%s, %s, %s)", QUEUE, tenant, weight)
        _wait_for_rule(bench, f"weight:{QUEUE}:e")
        for tenant, jobs in BACKLOG.items():
            client.run(submit, contender.module, SLOW, jobs, tenant)
        worker = Program("fair-0", celery(contender, "worker", "-c", "2"), bench.environment(contender), bench.logs)
        try:
            few = f"select count(*) from {SCHEMA}.jobs where tenant = 'b' and status = 'COMPLETED'"
            wait_until(lambda: bench.query(few)[0][0] == BACKLOG["b"], "a small tenant is served", 300)
        finally:
            _end(worker)
        bench.query(f"update {SCHEMA}.jobs set status = 'CANCELLED' where status = 'PENDING'")
    _judge_fairness(bench, findings)


def _judge_fairness(bench: Bench, findings: Findings) -> None:
    rows = bench.query(
        f"select tenant, extract(epoch from started_at)::float8 from {SCHEMA}.jobs "
        "where status = 'COMPLETED' order by 2"
    )
    last = min(max(at for name, at in rows if name == tenant) for tenant in WEIGHTS if tenant != "a")
    saturated = [(name, at) for name, at in rows if at <= last]
    findings.key("limits_jain", worst([jain(Counter(name for name, _ in saturated))]))
    first = saturated[0][1]
    windows: dict[int, Counter[str]] = {}
    for name, at in saturated:
        windows.setdefault(int((at - first) / _WINDOW_SECONDS), Counter())[name] += 1
    whole = [jain(counts) for number, counts in sorted(windows.items()) if number < len(windows) - 1]
    findings.extra("limits_jain_windows", Summary(percentile(whole, 0.5), min(whole), max(whole)))
    share = sum(value >= 0.95 for value in whole) / len(whole)
    findings.extra("limits_jain_windows_at_least_0.95", Summary(share, share, share))
    say(f"{len(whole)} windows of {_WINDOW_SECONDS:g} s: Jain index {min(whole):.3f} at the least")


def jain(given: Counter[str]) -> float:
    """Give Jain's index of what tenants were given, by their weight (R. Jain et al., DEC-TR-301, 1984)."""
    shares = [given[tenant] / weight for tenant, weight in WEIGHTS.items()]
    return sum(shares) ** 2 / (len(shares) * sum(share**2 for share in shares))


if __name__ == "__main__":
    sys.exit(main())
