"""Limits over several workers, judged by what the jobs write down themselves."""

from __future__ import annotations

import random
import signal
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import limit_jobs
import psutil
import pytest
from fleet import Fleet, Process
from processes import eventually

from jobplatform.devstack.stack import DevStack
from jobplatform.limits import Limit
from jobplatform.store import limits
from jobplatform.transport import keys

SLOTS, WORKERS, JOBS, KILLS = 7, 4, 1_500, 4
#: A worker that nobody killed must not look dead, however busy the machine: what it runs would then run beside it.
SETTINGS = {"JOBPLATFORM_HEARTBEAT_SECONDS": "3"}


@pytest.fixture
def fleet(stack: DevStack, tmp_path: Path) -> Iterator[Fleet]:
    with Fleet(stack, tmp_path, [limit_jobs.__name__], **SETTINGS) as made:
        yield made


def most_at_once(ledger: Path, deaths: dict[int, int]) -> int:
    """Count how many ran at once at the most.

    :param deaths: when the processes that were killed died, in monotonic nanoseconds.
    """
    open_runs: dict[str, tuple[int, int]] = {}
    changes: list[tuple[int, int]] = []
    for line in ledger.read_text().splitlines():
        what, run, pid, at = line.split()
        if what == "begin":
            open_runs[f"{run} {pid}"] = int(pid), int(at)
        else:
            changes += [(open_runs.pop(f"{run} {pid}")[1], 1), (int(at), -1)]
    for pid, at in open_runs.values():
        changes += [(at, 1), (deaths[pid], -1)]
    running = most = 0
    for _, change in sorted(changes):
        running += change
        most = max(most, running)
    return most


def is_dead(process: psutil.Process) -> bool:
    """Tell whether a process runs no more; one that nobody has reaped does not either."""
    with suppress(psutil.NoSuchProcess):
        return process.status() == psutil.STATUS_ZOMBIE
    return True


def kill_worker(worker: Process, deaths: dict[int, int]) -> None:
    """End a worker and its processes with SIGKILL, and note when they were dead."""
    tree = worker.kill_tree()
    eventually(lambda: all(map(is_dead, tree)), 30, lambda: str(tree))
    deaths.update({each.pid: time.monotonic_ns() for each in tree})


@pytest.mark.long
def test_a_limit_holds_over_workers_that_are_killed_and_no_slot_is_lost(fleet: Fleet, tmp_path: Path) -> None:
    ledger, chance = tmp_path / "ledger", random.Random(7)
    ledger.touch()
    fleet.start_controller()
    eventually(lambda: bool(fleet.redis.hget(keys.LIMITS, "type:limit_jobs.bounded")), 30, fleet.describe)
    workers = [fleet.start_worker("-c", "4", name=f"w{number}") for number in range(WORKERS)]
    fleet.client.tasks["limit_jobs.bounded"].submit_many([(str(ledger), 0.1)] * JOBS)
    deaths: dict[int, int] = {}
    for kill in range(KILLS):
        done = fleet.states()["COMPLETED"]
        eventually(lambda done=done: fleet.states()["COMPLETED"] > done + 20, 60, fleet.describe)
        number = chance.randrange(WORKERS)
        kill_worker(workers[number], deaths)
        workers[number] = fleet.start_worker("-c", "4", name=f"k{kill}")
    assert fleet.wait_final(JOBS, 180) == {"COMPLETED": JOBS}
    assert most_at_once(ledger, deaths) == SLOTS
    eventually(lambda: not fleet.redis.exists(keys.SLOTS, keys.USED), 30, lambda: str(fleet.redis.hgetall(keys.SLOTS)))


@pytest.mark.parametrize("forget", ["killed", "emptied"])
def test_a_limit_holds_over_a_redis_that_forgets(fleet: Fleet, stack: DevStack, tmp_path: Path, forget: str) -> None:
    ledger = tmp_path / "ledger"
    ledger.touch()
    fleet.start_controller()
    eventually(lambda: bool(fleet.redis.hget(keys.LIMITS, "type:limit_jobs.bounded")), 30, fleet.describe)
    for number in range(WORKERS):
        fleet.start_worker("-c", "4", name=f"w{number}")
    bounded = fleet.client.tasks["limit_jobs.bounded"]
    bounded.submit_many([(str(ledger), 1.0)] * 40)
    eventually(lambda: fleet.states()["PROCESSING"] == SLOTS, 30, fleet.describe)
    if forget == "killed":
        stack.redis.kill(signal.SIGKILL)
        stack.redis.start()
    else:
        fleet.redis.flushall()
    bounded.submit_many([(str(ledger), 0.05)] * 40)
    assert fleet.wait_final(80, 120) == {"COMPLETED": 80}
    assert most_at_once(ledger, {}) == SLOTS


@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_every_pool_keeps_to_limits_that_change_while_it_runs(fleet: Fleet, tmp_path: Path, pool: str) -> None:
    ledger = tmp_path / "ledger"
    ledger.touch()
    with fleet.database.transaction() as transaction:
        limits.put(transaction, Limit("key:tenant:*", slots=1))
    fleet.start_controller()
    eventually(lambda: bool(fleet.redis.hget(keys.LIMITS, "key:tenant:*")), 30, fleet.describe)
    for number in range(2):
        fleet.start_worker("-c", "2", "-P", pool, name=f"w{number}")
    keyed = fleet.client.tasks["limit_jobs.keyed"]
    for tenant in ("a", "b"):
        # Of shorter ones a worker takes more than it runs at once, and may have the slots of both tenants.
        keyed.using(tenant=tenant).submit_many([(str(ledger), 0.1)] * 20)
    assert fleet.wait_final(40, 60) == {"COMPLETED": 40}
    assert most_at_once(ledger, {}) == 2
    ledger.unlink()
    with fleet.database.transaction() as transaction:
        limits.put(transaction, Limit("key:tenant:a", rate=1_000.0))
        limits.drop(transaction, ["key:tenant:*"])
    eventually(lambda: not fleet.redis.hget(keys.LIMITS, "key:tenant:*"), 30, fleet.describe)
    keyed.using(tenant="a").submit_many([(str(ledger), 0.2)] * 8)
    assert fleet.wait_final(48, 60) == {"COMPLETED": 48}
    counts: defaultdict[str, int] = defaultdict(int)
    for line in ledger.read_text().splitlines():
        counts[line.split()[0]] += 1
    assert counts == {"begin": 8, "end": 8}
