"""What becomes of jobs whose worker dies, or is taken for dead."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import effect_jobs
import psutil
import pytest
import rescue_jobs
from click.testing import CliRunner
from fleet import Fleet, Process
from processes import eventually

from jobplatform.cli import main
from jobplatform.devstack.stack import DevStack

#: Jobs before the long one, and behind it.
QUICK, BEHIND = 200, 20
HEARTBEAT = {"JOBPLATFORM_HEARTBEAT_SECONDS": "0.5", "JOBPLATFORM_LEASE_SECONDS": "60"}


@pytest.fixture
def fleet(stack: DevStack, tmp_path: Path) -> Iterator[Fleet]:
    with Fleet(stack, tmp_path, [rescue_jobs.__name__, effect_jobs.__name__], **HEARTBEAT) as made:
        yield made


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
    halfway = {"COMPLETED": QUICK, "PROCESSING": 1, "PENDING": BEHIND}
    fleet.start_controller()
    # A worker that is fast holds many messages; for a second it keeps those behind the long job.
    short.submit_many([(str(marks), f"short{number}") for number in range(QUICK)])
    running = long.submit(str(marks), "long").id
    short.submit_many([(str(marks), f"short{number}") for number in range(QUICK, QUICK + BEHIND)])
    worker = fleet.start_worker("-c", "1", "-P", pool, name="first")
    eventually(lambda: dict(fleet.states()) == halfway, 60, fleet.describe)
    worker.kill_tree()
    (marks / "release").touch()
    fleet.start_worker("-c", "1", name="second")
    assert fleet.wait_final(QUICK + BEHIND + 1, 60) == {"COMPLETED": QUICK + BEHIND + 1}
    assert starts(marks) == {"long": [1, 2], **{f"short{number}": [1] for number in range(QUICK + BEHIND)}}
    (found,) = fleet.rows("select retry_count, attempt, deaths from @jobs where job_id = %(id)s::uuid", id=running)
    assert found == {"retry_count": 0, "attempt": 2, "deaths": 1}
    runs = fleet.rows(
        "select attempt_number, status, error_type from @job_executions where job_id = %(id)s::uuid order by 1",
        id=running,
    )
    assert [tuple(run.values()) for run in runs] == [(1, "FAILED", "WorkerLost"), (2, "COMPLETED", None)]
    eventually(lambda: workers(fleet) == {"first": "stale", "second": "alive"}, 30, fleet.describe)


def put_to_sleep(worker: Process) -> list[psutil.Process]:
    """Stop a worker and its pool, as a machine that is suspended does."""
    main = psutil.Process(worker.pid)
    asleep = [main, *main.children(recursive=True)]
    for process in asleep:
        process.suspend()
    return asleep


def wake(asleep: list[psutil.Process]) -> None:
    for process in asleep:
        process.resume()


def stale_outcome(fleet: Fleet, job_id: str) -> dict[str, object]:
    """Wait for what a run that was given up said of itself, as its execution shows it."""
    sql = "select metrics->'stale' as stale from @job_executions where job_id = %(id)s::uuid and attempt_number = 1"
    return eventually(lambda: fleet.rows(sql, id=job_id)[0]["stale"], 30, fleet.describe)  # type: ignore[no-any-return]


def test_a_worker_that_slept_through_its_rescue_cannot_settle(fleet: Fleet, marks: Path) -> None:
    fleet.start_controller()
    worker = fleet.start_worker("-c", "1", name="first")
    job_id = fleet.client.tasks["rescue_jobs.wait_for"].submit(str(marks), "long").id
    eventually(lambda: fleet.states()["PROCESSING"] == 1, 30, fleet.describe)
    asleep = put_to_sleep(worker)
    (marks / "release").touch()
    fleet.start_worker("-c", "1", name="second")
    assert fleet.wait_final(1, 60) == {"COMPLETED": 1}
    wake(asleep)
    assert stale_outcome(fleet, job_id)["kind"] == "completed"
    (row,) = fleet.rows("select status, attempt, result from @jobs where job_id = %(id)s::uuid", id=job_id)
    assert row == {"status": "COMPLETED", "attempt": 2, "result": "2"}
    assert worker.running


def charges(fleet: Fleet) -> list[int]:
    """List the attempts that wrote to the user's own table."""
    return [row["attempt"] for row in fleet.rows("select attempt from @charges")]


@pytest.fixture
def till(fleet: Fleet) -> None:
    with fleet.database.engine.begin() as connection:
        connection.exec_driver_sql(f"create table {fleet.settings.schema}.{effect_jobs.CHARGES}")


@pytest.mark.usefixtures("till")
def test_a_run_that_was_given_up_does_no_effect(fleet: Fleet, marks: Path) -> None:
    fleet.start_controller()
    worker = fleet.start_worker("-c", "1", name="first")
    job_id = fleet.client.tasks["effect_jobs.wait_then_charge"].submit(str(marks)).id
    eventually(lambda: fleet.states()["PROCESSING"] == 1, 30, fleet.describe)
    asleep = put_to_sleep(worker)
    fleet.start_worker("-c", "1", name="second")
    eventually(lambda: starts(marks) == {"begun": [1, 2]}, 60, fleet.describe)
    # The successor runs and has done nothing yet: the one that wakes could be the first.
    wake(asleep)
    (marks / "release").touch()
    assert fleet.wait_final(1, 60) == {"COMPLETED": 1}
    outcome = stale_outcome(fleet, job_id)
    assert outcome["kind"] == "failed"
    assert "attempt 1 of job" in str(outcome["error"]), outcome
    assert charges(fleet) == [2]
    (row,) = fleet.rows("select result, deaths from @jobs")
    assert row == {"result": True, "deaths": 1}


@pytest.mark.usefixtures("till")
def test_an_effect_of_a_run_that_was_killed_is_not_done_again(fleet: Fleet, marks: Path) -> None:
    fleet.start_controller()
    worker = fleet.start_worker("-c", "1", name="first")
    fleet.client.tasks["effect_jobs.charge_then_wait"].submit(str(marks))
    eventually(lambda: starts(marks) == {"charged": [1]}, 30, fleet.describe)
    worker.kill_tree()
    (marks / "release").touch()
    fleet.start_worker("-c", "1", name="second")
    assert fleet.wait_final(1, 60) == {"COMPLETED": 1}
    assert starts(marks) == {"charged": [1], "known": [2]}
    assert charges(fleet) == [1]


@pytest.mark.parametrize(("name", "jobs"), [("count", 1), ("submit_count", 2)])
def test_a_job_that_was_killed_goes_on_from_its_checkpoint(fleet: Fleet, marks: Path, name: str, jobs: int) -> None:
    fleet.start_controller()
    fleet.start_worker("-c", "1")
    fleet.client.tasks[f"effect_jobs.{name}"].submit(str(marks))
    assert fleet.wait_final(jobs, 60) == {"COMPLETED": jobs}
    assert starts(marks) == {"step0": [1], "step1": [1], "step2": [1], "step3": [1, 2], "step4": [2]}
    (row,) = fleet.rows("select checkpoint, result from @jobs where job_type = 'effect_jobs.count'")
    assert row == {"checkpoint": effect_jobs.STEPS, "result": 2}


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
