"""The plan of the chaos harness: repeatable, with enough kills, and one store at a time."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import pytest

# The harness is no part of the installed package.
sys.path.insert(0, str(Path(__file__).parents[2]))

from chaos.plan import AFTER_POSTGRES, AFTER_REDIS, AROUND_FLUSH, KILLS, Fault, Kind, count_kills, plan

SEEDS = range(25)
STORES = {Kind.KILL_REDIS, Kind.KILL_POSTGRES, Kind.FLUSHALL}


def test_the_same_seed_plans_the_same_faults() -> None:
    assert plan(7, 10) == plan(7, 10)
    assert plan(7, 10) != plan(8, 10)


@pytest.mark.parametrize("seed", SEEDS)
def test_ten_minutes_hold_120_kills_of_every_kind(seed: int) -> None:
    kills = count_kills(plan(seed, 10))
    assert kills.total() >= 120
    assert set(kills) == {str(kind) for kind in KILLS}


@pytest.mark.parametrize("minutes", [0.1, 0.5, 1, 3, 10])
def test_faults_are_in_order_and_undone_before_the_end(minutes: float) -> None:
    for seed in SEEDS:
        faults = plan(seed, minutes)
        assert faults == sorted(faults, key=lambda fault: fault.at)
        assert all(fault.at > 0 and fault.until < minutes * 60 for fault in faults)


@pytest.mark.parametrize("seed", SEEDS)
def test_stores_fail_one_at_a_time(seed: int) -> None:
    stores = [fault for fault in plan(seed, 10) if fault.kind in STORES]
    for before, after in itertools.pairwise(stores):
        assert after.at - before.until >= required_gap(before, after) - 1e-6


def required_gap(before: Fault, after: Fault) -> float:
    if Kind.FLUSHALL in (before.kind, after.kind):
        return AROUND_FLUSH
    return AFTER_POSTGRES if before.kind is Kind.KILL_POSTGRES else AFTER_REDIS


@pytest.mark.parametrize("seed", SEEDS)
def test_only_clients_die_near_a_flush(seed: int) -> None:
    faults = plan(seed, 10)
    for flush in (fault for fault in faults if fault.kind is Kind.FLUSHALL):
        near = {fault.kind for fault in faults if fault.at < flush.at + 10 and fault.until > flush.at - 5}
        assert near <= {Kind.FLUSHALL, Kind.KILL_CLIENT}


def test_some_workers_die_with_nothing_else_broken() -> None:
    for seed in SEEDS:
        faults = plan(seed, 10)
        calm = [
            fault for fault in faults if fault.kind in (Kind.KILL_WORKER, Kind.KILL_TREE) and is_calm(fault, faults)
        ]
        assert len(calm) >= 4


def is_calm(death: Fault, faults: list[Fault]) -> bool:
    others = (fault for fault in faults if fault is not death and fault.kind not in (Kind.KILL_CHILD, Kind.KILL_CLIENT))
    return not any(fault.at < death.at + 20 and fault.until > death.at - 5 for fault in others)
