"""A Redis that is full and refuses to take more: what it holds is worked off, what it does not take waits in rows."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
import rescue_jobs
from fleet import Fleet
from processes import eventually

from jobplatform.devstack.stack import DevStack

SETTINGS = {"JOBPLATFORM_HEARTBEAT_SECONDS": "0.5"}
#: Jobs whose messages were pushed before Redis was full, and jobs that are submitted then.
QUEUED, LATE = 500, 50
FILLER = bytes(100_000)
FILLERS = 200


@pytest.fixture
def fleet(stack: DevStack, tmp_path: Path) -> Iterator[Fleet]:
    with Fleet(stack, tmp_path, [rescue_jobs.__name__], **SETTINGS) as made:
        yield made


class Limits:
    """How much memory Redis may use."""

    def __init__(self, fleet: Fleet) -> None:
        self.redis = fleet.redis

    def fill(self) -> None:
        """Let nothing more in, whatever is worked off: values of others take more than there is."""
        # A file that is being written anew takes blocks of 10 MB, which count as used however little is in them.
        self.redis.config_set("auto-aof-rewrite-percentage", 0)
        eventually(lambda: self.redis.info("persistence")["aof_rewrite_in_progress"] == 0, 60)
        for number in range(FILLERS):
            self.redis.set(f"filler{number}", FILLER)
        self.redis.config_set("maxmemory-policy", "noeviction")
        self.redis.config_set("maxmemory", self._used() - FILLERS * len(FILLER) // 2)
        with pytest.raises(redis.exceptions.OutOfMemoryError):
            self.redis.set("more", "1")

    def leave_little(self) -> None:
        """Let more in, but so that little is left."""
        self.redis.config_set("maxmemory", int(self._used() / 0.85))

    def _used(self) -> int:
        # What waits to be written into the append-only file does not count towards the limit.
        memory = self.redis.info("memory")
        return int(memory["used_memory"] - memory["mem_not_counted_for_evict"])


@contextmanager
def limited(fleet: Fleet) -> Iterator[Limits]:
    names = ("maxmemory", "maxmemory-policy", "auto-aof-rewrite-percentage")
    before = {name: fleet.redis.config_get(name)[name] for name in names}
    try:
        yield Limits(fleet)
    finally:
        for name in names:
            fleet.redis.config_set(name, before[name])


@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_a_full_redis_is_worked_off_and_what_it_did_not_take_follows(fleet: Fleet, marks: Path, pool: str) -> None:
    wait_for, steady = fleet.client.tasks["rescue_jobs.wait_for"], fleet.client.tasks["rescue_jobs.steady"]
    controller = fleet.start_controller()
    first = fleet.start_worker("-c", "1", "-P", pool, name="first")
    wait_for.submit(str(marks), "long")
    eventually(lambda: fleet.states()["PROCESSING"] == 1, 30, fleet.describe)
    steady.submit_many([(str(marks), f"queued{number}", 0.001) for number in range(QUEUED)])
    with limited(fleet) as limits:
        limits.fill()
        beaten = fleet.redis.hget("jp:workers", next(iter(fleet.redis.hkeys("jp:workers"))))
        ids = [steady.submit(str(marks), f"late{number}", 0.001).id for number in range(LATE)]
        ids += steady.submit_many([(str(marks), f"many{number}", 0.001) for number in range(LATE)])
        assert fleet.rows("select count(*) as due from @jobs where due_at is not null") == [{"due": 2 * LATE}]
        eventually(lambda: fleet.redis.hvals("jp:workers") != [beaten], 30, fleet.describe)
        # A worker that begins while Redis is full takes part.
        second = fleet.start_worker("-c", "1", "-P", pool, name="second")
        eventually(lambda: fleet.states()["COMPLETED"] >= QUEUED, 60, fleet.describe)
        limits.leave_little()
        eventually(lambda: controller.says("due jobs wait in their rows"), 30, controller.tail)
        assert fleet.rows("select count(*) as due from @jobs where due_at is not null") == [{"due": 2 * LATE}]
        (marks / "release").touch()
        eventually(lambda: fleet.states()["COMPLETED"] == QUEUED + 1, 60, fleet.describe)
        fleet.redis.delete(*fleet.redis.keys("filler*"))
        jobs = QUEUED + 2 * LATE + 1
        assert fleet.wait_final(jobs, 60) == {"COMPLETED": jobs}
    assert all(process.running for process in (controller, first, second))
    runs = {mark.name: mark.read_text().split() for mark in marks.iterdir() if mark.name != "release"}
    assert len(runs) == jobs
    assert {name: lines for name, lines in runs.items() if len(lines) > 1} == {}
    assert len(ids) == 2 * LATE
    assert second.stop(signal.SIGTERM) == 0
