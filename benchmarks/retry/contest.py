"""Run all policies through all worlds, in processes side by side."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Sequence
from typing import NamedTuple

from benchmarks.retry.contenders import CONTENDERS, Contender
from benchmarks.retry.measure import REFERENCE, Measures, measure
from benchmarks.retry.product import product
from benchmarks.retry.ranges import EVALUATION
from benchmarks.retry.run import Run
from benchmarks.retry.simulation import simulate
from benchmarks.retry.worlds import draw_world
from jobplatform.learning.artifact import hash_of
from jobplatform.learning.model import Model


class Task(NamedTuple):
    """One world of one seed, for some policies."""

    world: str
    seed: int
    policies: tuple[str, ...]


#: What a process of the pool works with.
_durations: tuple[float, ...] = ()
_contenders: dict[str, Contender] = {}


def contest(
    worlds: Sequence[str],
    seeds: Sequence[int],
    policies: Sequence[str],
    durations: Sequence[float],
    artifact: bytes | None,
    processes: int,
) -> list[Measures]:
    """Measure every policy in every world of every seed.

    :param durations: of real outages, in seconds; synthetic ones without.
    :param artifact: the model of the policies that ask one.
    """
    # The mixed world takes longest; it goes first, so that no process ends long after the other.
    first = sorted(worlds, key=lambda name: name != "mixed")
    tasks = [Task(world, seed, tuple(policies)) for world in first for seed in seeds]
    # Two processes share two cores: a model that asks for more threads waits for itself.
    os.environ["OMP_THREAD_LIMIT"] = "1"
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes, _prepare, (tuple(durations), artifact)) as pool:
        found = [each for part in pool.imap_unordered(_measure_one, tasks) for each in part]
    return sorted(found, key=lambda each: (worlds.index(each.world), policies.index(each.policy), each.seed))


def _prepare(durations: tuple[float, ...], artifact: bytes | None) -> None:
    """Make a process of the pool ready."""
    global _durations
    _durations = durations
    _contenders.update(CONTENDERS, breakers=product(None))
    if artifact is not None:
        model = Model.from_bytes(artifact, hash_of(artifact))
        _contenders.update(product=product(model), model=product(model, breakers=False))


def _measure_one(task: Task) -> list[Measures]:
    """Run all policies through one world."""
    world = draw_world(task.world, task.seed, EVALUATION, _durations)
    runs: dict[str, tuple[Run, float]] = {}
    for policy in dict.fromkeys((REFERENCE, *task.policies)):
        began = time.process_time()
        run = simulate(world, _contenders[policy](world))
        runs[policy] = run, round(time.process_time() - began, 2)
    reference, _ = runs[REFERENCE]
    return [measure(world, policy, runs[policy][0], reference, runs[policy][1]) for policy in task.policies]
