"""What becomes of jobs whose worker dies, or is taken for dead."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import rescue_jobs
from click.testing import CliRunner
from fleet import Fleet, Process
from processes import eventually

from jobplatform.cli import main
from jobplatform.devstack.stack import DevStack

HEARTBEAT = {"JOBPLATFORM_HEARTBEAT_SECONDS": "0.5", "JOBPLATFORM_LEASE_SECONDS": "60"}


@pytest.fixture
def fleet(stack: DevStack, tmp_path: Path) -> Iterator[Fleet]:
    with Fleet(stack, tmp_path, [rescue_jobs.__name__], **HEARTBEAT) as made:
        yield made


@pytest.fixture
def marks(tmp_path: Path) -> Path:
    made = tmp_path / "marks"
    made.mkdir()
    return made


def kill_tree(process: Process) -> None:
    """Kill a worker and all its children, as a machine that loses power does."""
    main = psutil.Process(process.pid)
    for each in [main, *main.children(recursive=True)]:
        each.kill()


def starts(marks: Path) -> dict[str, list[int]]:
    """List the attempts that began, by the name of the job."""
    return {
        mark.name: [int(line) for line in mark.read_text().split()]
        for mark in marks.iterdir()
        if mark.name != "release"
    }


def workers(fleet: Fleet) -> dict[str, str]:
    """Ask the command line which workers there are."""
    asked = CliRunner().invoke(main, ["workers", "list", "--json"], env=fleet.environment, catch_exceptions=False)
    return {found["name"].split("@")[0]: found["status"] for found in json.loads(asked.stdout)["workers"]}


@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_jobs_of_a_killed_worker_run_elsewhere(fleet: Fleet, marks: Path, pool: str) -> None:
    long, short = fleet.client.tasks["rescue_jobs.wait_for"], fleet.client.tasks["rescue_jobs.brief"]
    fleet.start_controller()
    worker = fleet.start_worker("-c", "1", "-P", pool, name="first")
    running = long.submit(str(marks), "long").id
    eventually(lambda: fleet.states()["PROCESSING"] == 1, 30, fleet.describe)
    short.submit_many([(str(marks), f"short{number}") for number in range(20)])
    eventually(lambda: fleet.redis.hlen("unacked") > 1 or pool == "solo", 30, fleet.describe)
    kill_tree(worker)
    (marks / "release").touch()
    fleet.start_worker("-c", "1", name="second")
    assert fleet.wait_final(21, 60) == {"COMPLETED": 21}
    assert starts(marks) == {"long": [1, 2], **{f"short{number}": [1] for number in range(20)}}
    (found,) = fleet.rows("select retry_count, attempt, deaths from @jobs where job_id = %(id)s::uuid", id=running)
    assert found == {"retry_count": 0, "attempt": 2, "deaths": 1}
    runs = fleet.rows(
        "select attempt_number, status, error_type from @job_executions where job_id = %(id)s::uuid order by 1",
        id=running,
    )
    assert [tuple(run.values()) for run in runs] == [(1, "FAILED", "WorkerLost"), (2, "COMPLETED", None)]
    eventually(lambda: workers(fleet) == {"first": "stale", "second": "alive"}, 30, fleet.describe)


def test_a_worker_that_slept_through_its_rescue_cannot_settle(fleet: Fleet, marks: Path) -> None:
    fleet.start_controller()
    worker = fleet.start_worker("-c", "1", name="first")
    job_id = fleet.client.tasks["rescue_jobs.wait_for"].submit(str(marks), "long").id
    eventually(lambda: fleet.states()["PROCESSING"] == 1, 30, fleet.describe)
    asleep = [psutil.Process(worker.pid), *psutil.Process(worker.pid).children(recursive=True)]
    for process in asleep:
        os.kill(process.pid, signal.SIGSTOP)
    (marks / "release").touch()
    fleet.start_worker("-c", "1", name="second")
    assert fleet.wait_final(1, 60) == {"COMPLETED": 1}
    for process in asleep:
        os.kill(process.pid, signal.SIGCONT)

    def stale() -> object:
        return fleet.rows(
            "select metrics->'stale'->>'kind' as kind from @job_executions "
            "where job_id = %(id)s::uuid and attempt_number = 1 and metrics ? 'stale'", id=job_id,
        )  # fmt: skip

    assert eventually(stale, 30, fleet.describe) == [{"kind": "completed"}]
    (row,) = fleet.rows("select status, attempt, result from @jobs where job_id = %(id)s::uuid", id=job_id)
    assert row == {"status": "COMPLETED", "attempt": 2, "result": "2"}
    assert worker.running


def test_a_job_that_kills_its_process_is_quarantined_after_three_deaths(fleet: Fleet, marks: Path) -> None:
    fleet.start_controller()
    fleet.start_worker("-c", "2")
    poison, brief = fleet.client.tasks["rescue_jobs.poison"], fleet.client.tasks["rescue_jobs.brief"]
    poison.submit(str(marks), "poison")
    brief.submit_many([(str(marks), f"short{number}") for number in range(200)])
    assert fleet.wait_final(201, 60) == {"FAILED": 1, "COMPLETED": 200}
    found = starts(marks)
    assert found.pop("poison") == [1, 2, 3]
    assert found == {f"short{number}": [1] for number in range(200)}
    (letter,) = fleet.rows("select reason, error_message from @dead_letter_jobs")
    assert letter["reason"].startswith("poisoned: its process died 3 times")
    assert "SIGKILL" in letter["error_message"]
