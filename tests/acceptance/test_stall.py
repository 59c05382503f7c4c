"""A worker that was fast holds many messages; when a long job comes, the others do not wait behind it."""

from __future__ import annotations

from pathlib import Path

import pytest
import stall_jobs
from fleet import Fleet
from processes import eventually

from jobplatform.devstack.stack import DevStack

BEFORE, BEHIND = 2_000, 500


@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_short_jobs_leave_a_worker_that_got_a_long_one(stack: DevStack, tmp_path: Path, pool: str) -> None:
    release = tmp_path / "release"
    with Fleet(stack, tmp_path, [stall_jobs.__name__]) as fleet:
        tasks = fleet.client.tasks
        tasks["stall_jobs.quick"].submit_many(range(BEFORE))
        tasks["stall_jobs.last"].submit(str(release))
        tasks["stall_jobs.quick"].submit_many(range(BEHIND))
        fleet.start_controller()
        fleet.start_worker("-c", "1", "-P", pool, name="first")
        eventually(lambda: fleet.states()["PROCESSING"] == 1, 60, fleet.describe)
        fleet.start_worker("-c", "1", name="second")
        eventually(lambda: fleet.states()["COMPLETED"] >= BEFORE + BEHIND, 60, fleet.describe)
        assert fleet.states()["PROCESSING"] == 1
        release.touch()
        states = fleet.wait_final(BEFORE + BEHIND + 1, 60)
        assert states == {"COMPLETED": BEFORE + BEHIND + 1}
        (found,) = fleet.rows("select count(*) as runs, max(attempt_number) as attempts from @job_executions")
        assert (found["runs"], found["attempts"]) == (BEFORE + BEHIND + 1, 1)


@pytest.mark.parametrize("multiplier", ["1", "10"])
def test_every_process_has_a_job_whatever_celery_may_fetch_ahead(
    stack: DevStack, tmp_path: Path, multiplier: str
) -> None:
    release = tmp_path / "release"
    with Fleet(stack, tmp_path, [stall_jobs.__name__]) as fleet:
        last = fleet.client.tasks["stall_jobs.last"]
        for _ in range(3):
            last.submit(str(release))
        fleet.start_controller()
        fleet.start_worker("-c", "2", "--prefetch-multiplier", multiplier)
        eventually(lambda: dict(fleet.states()) == {"PROCESSING": 2, "PENDING": 1}, 30, fleet.describe)
        eventually(lambda: fleet.redis.llen("celery") == 1, 30, fleet.describe)
        release.touch()
        assert fleet.wait_final(3, 60) == {"COMPLETED": 3}
