"""Single runs: a fleet, something that goes wrong with one worker of it, and what came of that."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from benchmarks.leaks.jobs import MIB
from benchmarks.leaks.limit import has_ended, memory_of
from benchmarks.leaks.load import EACH_PAUSE, PAUSE_SECONDS, Load
from benchmarks.leaks.world import JOBS, LIMIT, WORKERS, Tally, World
from benchmarks.stacks import Bench
from jobplatform.devstack.spawn import spawn
from jobplatform.workers.fleet import Member
from jobplatform.workers.local_fleet import tree_of

#: A worker that leaks reaches its limit within so many seconds, as the seed has it.
FILLED_SECONDS = (75.0, 180.0)
#: It may be a few times as long, as jobs do not go to all workers alike.
_PATIENCE = 5.0
_WARM_JOBS = 20


@dataclass(frozen=True, slots=True)
class Leak:
    """What came of a leak; times in seconds.

    :param filled: from the first leaked byte until the limit, as the seed has it.
    :param replaced: whether the worker was gone before it was killed.
    :param asked: from the first leaked byte until the replacement was asked for; None when it was not.
    :param lead: from then until it would have been killed, at the rate of the leak.
    :param left: MiB that were left below the limit when it was gone.
    :param others: workers that were well, and replaced or found failing so surely that they would be.
    :param watched: for which workers that were well were watched, all together.
    """

    seed: int
    victim: str
    filled: float
    replaced: bool
    asked: float | None
    lead: float | None
    left: float
    jobs: Tally
    others: int
    watched: float
    told: str


class Struck(NamedTuple):
    """Who was struck, when, in seconds since the epoch, and how many jobs were submitted for that."""

    victim: Member
    at: float
    jobs: int


Strike = Callable[[World, Member], Struck]


@dataclass(frozen=True, slots=True)
class Well:
    """What came of workers that were well beside programs that keep all processors busy."""

    burners: int
    load_average: float
    jobs: Tally
    others: int
    watched: float


@dataclass(frozen=True, slots=True)
class Fault:
    """What came of a worker that stood still or was killed; times in seconds since the fault.

    :param found: until its replacement was asked for, or its end was noted; None when it was not.
    :param working: until as many workers took jobs as before.
    :param gone: whether nothing is left of its processes.
    """

    what: str
    victim: str
    found: float | None
    working: float
    gone: bool
    jobs: Tally
    others: int
    watched: float
    told: str


def leak(bench: Bench, number: int, seed: int) -> Leak:
    """Let one worker of three leak, which one and how fast as the seed has it."""
    luck = drawn(seed)
    with World(bench, number) as world:
        victim = luck.choice(sorted(world.members(), key=lambda member: member.name))
        filled = luck.uniform(*FILLED_SECONDS)
        rate = (LIMIT - memory_of(tree_of(victim.pid))) / MIB / filled
        began = time.time()
        # Of the leaking jobs of each pause every worker gets its share, more or less.
        with Load(world, luck, rate * PAUSE_SECONDS / EACH_PAUSE * WORKERS, victim.name) as load:
            world.wait(lambda: _is_gone(world, victim), f"{victim.name} is replaced", _PATIENCE * filled)
            gone = time.time()
            world.wait(lambda: world.working() >= WORKERS, "as many workers as before take jobs")
            jobs = world.wait_for_jobs(load.stop())
        world.wait(lambda: all(row["ended_at"] for row in world.replacements()), "that was noted")
        ours = [row for row in world.replacements() if row["name"] == victim.name]
        left = (LIMIT - world.limit.taken[victim.pid or 0]) / MIB
        asked = ours[0]["asked_at"].timestamp() if ours else None
        return Leak(
            seed,
            victim.name,
            filled,
            bool(ours) and ours[0]["outcome"] == "replaced" and victim.pid not in world.limit.killed,
            None if asked is None else asked - began,
            None if asked is None else gone - asked + left / rate,
            left,
            jobs,
            world.accused(victim.name),
            _watched(world, victim.name),
            ours[0]["reason"] if ours else "",
        )


def drawn(seed: int) -> random.Random:
    """Give the luck of a seed; that of small numbers begins alike, so that they would all draw the same worker."""
    return random.Random(f"leaks {seed}")


def _is_gone(world: World, victim: Member) -> bool:
    return victim.pid not in {member.pid for member in world.members()}


def _watched(world: World, victim: str) -> float:
    return sum(seconds for name, seconds in world.heard.items() if name != victim)


def stop(bench: Bench, number: int, seed: int) -> Fault:
    """Stop the main process of a worker."""
    return _fault(bench, number, seed, "SIGSTOP of the main process", _signal(signal.SIGSTOP))


def kill(bench: Bench, number: int, seed: int) -> Fault:
    """Kill the main process of a worker out of the blue."""
    return _fault(bench, number, seed, "SIGKILL out of the blue", _signal(signal.SIGKILL))


def deadlock(bench: Bench, number: int, seed: int) -> Fault:
    """Let a callback in the main process of a worker wait for ever; which one takes the job is not up to us."""

    def strike(world: World, victim: Member) -> Struck:
        mark = world.log.with_suffix(".mark")
        world.client.tasks[f"{JOBS}.trap"].submit(str(mark))
        world.wait(lambda: mark.exists() and " " in mark.read_text(), "the trap is taken")
        name, at = mark.read_text().split()
        (victim,) = [member for member in world.seen.values() if member.name == name]
        return Struck(victim, float(at), 1)

    return _fault(bench, number, seed, "a callback that does not return", strike)


def _signal(number: signal.Signals) -> Strike:
    def strike(world: World, victim: Member) -> Struck:
        os.kill(victim.pid or 0, number)
        return Struck(victim, time.time(), 0)

    return strike


def _fault(bench: Bench, number: int, seed: int, what: str, strike: Strike) -> Fault:
    luck = drawn(seed)
    with World(bench, number) as world, Load(world, luck) as load:
        chosen = luck.choice(sorted(world.members(), key=lambda member: member.name))
        tree = tree_of(chosen.pid)
        world.wait(lambda: load.submitted >= _WARM_JOBS, "jobs run")
        victim, at, more = strike(world, chosen)
        tree = tree if victim.pid == chosen.pid else tree_of(victim.pid)
        world.wait(lambda: _is_gone(world, victim) and world.working() >= WORKERS, "as many workers take jobs again")
        working = time.time() - at
        jobs = world.wait_for_jobs(load.stop() + more)
        world.wait(lambda: any(row["name"] == victim.name for row in world.replacements()), "it was noted")
        (ours,) = [row for row in world.replacements() if row["name"] == victim.name]
        return Fault(
            what,
            victim.name,
            ours["asked_at"].timestamp() - at,
            working,
            all(map(has_ended, tree)),
            jobs,
            world.accused(victim.name),
            _watched(world, victim.name),
            ours["reason"],
        )


def well(bench: Bench, number: int, seed: int, seconds: float, burners: int) -> Well:
    """Watch workers that are well while other programs take all processors."""
    busy = [spawn([sys.executable, "-c", "while True: pass"], signal.SIGKILL) for _ in range(burners)]
    try:
        with World(bench, number) as world, Load(world, drawn(seed)) as load:
            until = time.monotonic() + seconds
            world.wait(lambda: time.monotonic() > until, "time passes", 2 * seconds)
            load_average = os.getloadavg()[0]
            jobs = world.wait_for_jobs(load.stop())
            return Well(burners, load_average, jobs, world.accused(""), _watched(world, ""))
    finally:
        for process in busy:
            process.kill()
            process.wait()
