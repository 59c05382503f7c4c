"""Real workers that are stopped, that hang, or that leak are found, and those that do well are left alone."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import health_jobs
import pytest
from fleet import Fleet
from processes import eventually

from jobplatform.devstack.stack import DevStack
from jobplatform.workers.judge import Judge
from jobplatform.workers.sampler import Sampler
from jobplatform.workers.watch import Watch

BEAT = 1.0
#: A worker that stands still is to be found within so many seconds.
FOUND = 60.0
MIB = 1024 * 1024


@pytest.fixture
def fleet(stack: DevStack, tmp_path: Path) -> Iterator[Fleet]:
    environment = {
        "JOBPLATFORM_QUEUES": "celery,w1,w2",
        "JOBPLATFORM_HEARTBEAT_SECONDS": str(BEAT),
        "JOBPLATFORM_WORKER_MEMORY": str(1_024 * MIB),
    }
    with Fleet(stack, tmp_path, [health_jobs.__name__], **environment) as made:
        yield made


@pytest.fixture
def judge(fleet: Fleet) -> Judge:
    return Judge(fleet.database, Watch(fleet.redis, BEAT), 100_000)


def sure(fleet: Fleet, judge: Judge) -> dict[str, str]:
    """Judge once, and give the reasons why workers are surely failing, by their names without the host."""
    judge.run_once(datetime.now(UTC))
    names = {node: each.worker.name.partition("@")[0] for node, each in judge.watch.workers().items()}
    rows = fleet.rows("select * from @verdicts where verdict = 'failing' and confidence > 0.8")
    return {names.get(row["worker_id"], row["worker_id"]): row["reason"] for row in rows}


def wait_for(fleet: Fleet, judge: Judge, name: str, seconds: float) -> str:
    found: dict[str, str] = {}

    def is_found() -> bool:
        found.update(sure(fleet, judge))
        return name in found

    eventually(is_found, seconds, lambda: f"{found}, {fleet.describe()}")
    assert set(found) == {name}
    return found[name]


def settle(fleet: Fleet, judge: Judge, workers: int) -> None:
    """Wait until so many workers are known by several samples."""

    def is_known() -> bool:
        sure(fleet, judge)
        known = judge.watch.workers()
        return len(known) == workers and all(len(each.samples) >= 4 for each in known.values())

    eventually(is_known, 30, fleet.describe)


def test_a_stopped_main_process_is_found(fleet: Fleet, judge: Judge) -> None:
    stopped, _ = fleet.start_worker("-c", "1"), fleet.start_worker("-c", "1", name="w2")
    settle(fleet, judge, 2)
    os.kill(stopped.pid, signal.SIGSTOP)
    assert "nothing was heard of it" in wait_for(fleet, judge, "w1", FOUND)


def test_a_callback_that_does_not_return_is_found_although_the_heart_beats(fleet: Fleet, judge: Judge) -> None:
    for name in ("w1", "w2"):
        fleet.start_worker("-c", "1", "-Q", f"celery,{name}", name=name)
    settle(fleet, judge, 2)
    fleet.client.tasks["health_jobs.trap"].apply_async(queue="w2")
    assert "a callback in it does not return" in wait_for(fleet, judge, "w2", FOUND)


def test_a_leak_is_found_before_the_limit_and_the_others_are_left_alone(fleet: Fleet, judge: Judge) -> None:
    for name in ("w1", "w2"):
        fleet.start_worker("-c", "2", "-Q", name, name=name)
    settle(fleet, judge, 2)
    for _ in range(200):
        fleet.client.tasks["health_jobs.leak"].apply_async((16 * MIB, 0.5), queue="w1")
        fleet.client.tasks["health_jobs.nap"].apply_async((0.5,), queue="w2")
    reason = wait_for(fleet, judge, "w1", FOUND)
    assert "its memory grows by" in reason
    left = {each.worker.name[:2]: each.samples[-1].memory_left for each in judge.watch.workers().values()}
    assert left["w1"] > 100 * MIB, reason


def test_samples_tell_what_real_workers_did(fleet: Fleet) -> None:
    fleet.start_controller()
    fleet.start_worker("-c", "2")
    watch = Watch(fleet.redis, BEAT)
    sampler = Sampler(fleet.database, watch, 1.0)
    sampler.run_once(datetime.now(UTC))
    for _ in range(20):
        fleet.client.tasks["health_jobs.nap"].submit(0.01)
    fleet.wait_final(20, 60)

    def has_told() -> bool:
        watch.look()
        return any(each.samples[-1].finished == 20 for each in watch.workers().values())

    eventually(has_told, 30, fleet.describe)
    sampler.run_once(datetime.now(UTC))
    (queue,) = fleet.rows("select * from @queue_samples where queue = 'celery'")
    assert {name: queue[name] for name in ("arrived", "started", "finished", "depth", "running")} == {
        **dict.fromkeys(("arrived", "started", "finished"), 20),
        **dict.fromkeys(("depth", "running"), 0),
    }
    worker: dict[str, Any] = fleet.rows("select * from @worker_samples order by sampled_at desc limit 1")[0]
    assert worker["tree_rss"] > worker["rss"] > 10 * MIB
    assert worker["memory_left"] == 1_024 * MIB - worker["tree_rss"]
    assert (worker["slots"], worker["failed"], len(worker["processes"])) == (2, 0, 3)
    assert 0 <= worker["loop_wait"] < 30
    assert worker["open_files"] > 3
