"""How soon an emptied Redis holds all waiting jobs again, the most urgent first, while long jobs run on.

A controller and a worker are up, at default settings. The jobs wait in a queue that the worker does not take, so that
each of them must be found by its row and queued again; nothing of it is helped along by their being run.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from importlib import import_module

from benchmarks.apps.scratch import RELEASE
from benchmarks.apps.work import LONG_STARTS, payload
from benchmarks.contenders import PREFORK
from benchmarks.drain import warm_up
from benchmarks.processes import Client, running
from benchmarks.report import Findings, Options
from benchmarks.stacks import SCHEMA, WAITING, Bench, BenchmarkError, say, wait_until
from benchmarks.statistics import worst
from jobplatform.transport import keys

_JOBS = 50_000
#: The least urgent is submitted first.
_PRIORITIES = (1, 3, 5)
_LONG_JOBS = 4
_CONTENDER = replace(PREFORK, nodes=(("-c", str(_LONG_JOBS)),))
_PATIENCE_SECONDS = 180.0
_LONG = "benchmarks.apps.work.last"


@dataclass(frozen=True, slots=True)
class Refill:
    """One emptied Redis.

    :param seconds: from the FLUSHALL until all was queued.
    :param by_priority: until all of one priority were.
    """

    jobs: int
    seconds: float
    by_priority: dict[int, float]


def measure(bench: Bench, options: Options, findings: Findings) -> None:
    """Empty Redis once a round."""
    refills = findings.rounds["refill"] = [refill(bench) for _ in range(options.rounds)]
    findings.key("refill_50000_s", worst([done.seconds for done in refills]))
    findings.extra("refill_urgent_s", worst([done.by_priority[max(_PRIORITIES)] for done in refills]))


def refill(bench: Bench) -> Refill:
    """Fill a queue that nobody takes, let long jobs begin, empty Redis, and wait until all is there again.

    :raises BenchmarkError: when less urgent jobs came first, or a long job began again.
    """
    bench.wipe()
    with running(bench, _CONTENDER), Client(bench, _CONTENDER) as client:
        warm_up(bench, client, _CONTENDER)
        each = {priority: _JOBS // len(_PRIORITIES) for priority in _PRIORITIES}
        each[_PRIORITIES[0]] += _JOBS - sum(each.values())
        client.run(submit_waiting, _CONTENDER.module, each)
        client.run(submit_long, _CONTENDER.module, _LONG_JOBS)
        # A row may say that a job runs before its first line does: the note of its start must not come late.
        wait_until(lambda: bench.scratch.llen(LONG_STARTS) == _LONG_JOBS, "the long jobs have begun")
        wait_until(lambda: bench.count_rows("PROCESSING") == _LONG_JOBS, "the rows say so")
        bench.redis.flushall()
        done = _watch(bench, each)
        bench.scratch.set(RELEASE, 1)
        wait_until(lambda: not bench.count_rows("PROCESSING"), "the long jobs end")
        _verify(bench)
    say(f"  {done.jobs:,} jobs in {done.seconds:.1f} s, the most urgent in {done.by_priority[max(each)]:.1f} s")
    return done


def submit_waiting(module: str, each: dict[int, int]) -> None:
    """Submit jobs to the queue that nobody takes, as a client, so many of each priority."""
    for priority, jobs in each.items():
        import_module(module).noop.submit_many(map(payload, range(jobs)), queue=WAITING, priority=priority)


def submit_long(module: str, jobs: int) -> None:
    """Submit jobs that run until they are let go, as a client."""
    import_module(module).last.submit_many([{} for _ in range(jobs)])


def _watch(bench: Bench, each: dict[int, int]) -> Refill:
    started, by_priority = time.perf_counter(), dict[int, float]()

    def is_full() -> bool:
        pipe = bench.redis.pipeline(transaction=True)
        for priority in each:
            pipe.llen(keys.queue_list(WAITING, priority))
        queued = dict(zip(each, pipe.execute(), strict=True))
        for priority, jobs in each.items():
            if queued[priority] >= jobs:
                by_priority.setdefault(priority, time.perf_counter() - started)
            elif any(queued[lower] for lower in each if lower < priority):
                raise BenchmarkError(f"less urgent jobs are queued before all of priority {priority}: {queued}")
        return len(by_priority) == len(each)

    wait_until(is_full, "all waiting jobs are queued again", _PATIENCE_SECONDS)
    return Refill(sum(each.values()), max(by_priority.values()), by_priority)


def _verify(bench: Bench) -> None:
    """Raise when a job is queued more than once, or a long one began again."""
    queued = sum(bench.redis.llen(keys.queue_list(WAITING, priority)) for priority in _PRIORITIES)
    sql = f"select count(*), count(*) filter (where e.status = 'COMPLETED') from {SCHEMA}.job_executions e"
    ((runs, completed),) = bench.query(f"{sql} join {SCHEMA}.jobs j using (job_id) where job_type = %s", _LONG)
    found = {
        "messages": queued - _JOBS,
        "long jobs that began again": bench.scratch.llen(LONG_STARTS),
        "attempts of long jobs": runs - _LONG_JOBS,
        "completed long jobs": completed - _LONG_JOBS,
    }
    if wrong := {name: count for name, count in found.items() if count}:
        raise BenchmarkError(f"more or fewer than there should be: {wrong}")
