"""The prefork pool under what its pipes and processes can do to it."""

from __future__ import annotations

from pathlib import Path

import pool_jobs
import pytest
from fleet import Fleet

from jobplatform.devstack.stack import DevStack

#: Around what a write does at once, what a pipe holds, and what a payload may have, in bytes.
SIZES = (0, 3_000, 4_096, 5_000, 65_000, 66_000, 200_000, 1_000_000)
JOBS = 150
DEATHS = 200


def test_large_jobs_pass_the_pipes_both_ways(stack: DevStack, tmp_path: Path) -> None:
    with Fleet(stack, tmp_path, [pool_jobs.__name__]) as fleet:
        fleet.start_controller()
        fleet.start_worker("-c", "2")
        fleet.client.tasks["pool_jobs.echo"].submit_many(["x" * size for size in SIZES for _ in range(4)])
        assert fleet.wait_final(4 * len(SIZES), 60) == {"COMPLETED": 4 * len(SIZES)}
        rows = fleet.rows("select length(result #>> '{}') as size, count(*) as jobs from @jobs group by 1 order by 1")
        assert rows == [{"size": size, "jobs": 4} for size in SIZES]


def test_jobs_outlive_processes_that_are_replaced_after_three(stack: DevStack, tmp_path: Path) -> None:
    with Fleet(stack, tmp_path, [pool_jobs.__name__]) as fleet:
        fleet.start_controller()
        fleet.start_worker("-c", "2", "--max-tasks-per-child", "3")
        fleet.client.tasks["pool_jobs.number"].submit_many(range(JOBS))
        assert fleet.wait_final(JOBS, 120) == {"COMPLETED": JOBS}
        (found,) = fleet.rows("select count(*) as runs, max(attempt_number) as attempts from @job_executions")
        assert (found["runs"], found["attempts"]) == (JOBS, 1)


@pytest.mark.long
def test_jobs_that_kill_their_processes_start_once_even_if_several_die_together(
    stack: DevStack, tmp_path: Path
) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    with Fleet(stack, tmp_path, [pool_jobs.__name__]) as fleet:
        fleet.start_controller()
        fleet.start_worker("-c", "4")
        fleet.client.tasks["pool_jobs.die"].submit_many([(str(marks), str(number)) for number in range(DEATHS)])
        assert fleet.wait_final(DEATHS, 120) == {"FAILED": DEATHS}
        assert [mark.name for mark in marks.iterdir() if mark.read_text() != "1"] == []
