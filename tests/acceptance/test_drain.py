"""Workers that are told to take no more, or to leave: by the command line or by SIGTERM."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import drain_jobs
import psutil
import pytest
import rescue_jobs
from click.testing import CliRunner
from fleet import Fleet, Process
from processes import eventually
from test_deploy import Load
from test_rescue import starts

from jobplatform.cli import main
from jobplatform.devstack.stack import DevStack

SETTINGS = {"JOBPLATFORM_HEARTBEAT_SECONDS": "0.5", "JOBPLATFORM_LEASE_SECONDS": "60"}
#: Tells a worker to leave: within how many seconds.
Leave = Callable[["Fleet", Process, str, float], None]


@pytest.fixture
def fleet(stack: DevStack, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Fleet]:
    more: dict[str, str] = getattr(request, "param", {})
    with Fleet(stack, tmp_path, [rescue_jobs.__name__, drain_jobs.__name__], **SETTINGS, **more) as made:
        yield made


def ask(fleet: Fleet, *arguments: str) -> Any:
    """Run a command of the group ``workers``, and return what it prints."""
    said = CliRunner().invoke(main, ["workers", *arguments, "--json"], env=fleet.environment, catch_exceptions=False)
    assert said.exit_code == 0, said.output
    return json.loads(said.stdout)


def name_of(fleet: Fleet, name: str) -> str:
    """Wait until the command line knows a worker, and give its name in full."""

    def found() -> str | None:
        names = [row["name"] for row in ask(fleet, "list")["workers"]]
        return next((each for each in names if each.startswith(f"{name}@")), None)

    return eventually(found, 30, fleet.describe)  # type: ignore[no-any-return]


def status(fleet: Fleet, name: str) -> str:
    rows = ask(fleet, "list", "--all")["workers"]
    return str(next((row["status"] for row in rows if row["name"].startswith(f"{name}@")), "unknown"))


def drain(fleet: Fleet, worker: Process, name: str, grace: float) -> None:
    ask(fleet, "drain", name_of(fleet, name), "--grace", str(grace), "--reason", "a deploy")


def terminate(fleet: Fleet, worker: Process, name: str, grace: float) -> None:
    worker.popen.send_signal(signal.SIGTERM)


def assert_nothing_burned(fleet: Fleet, jobs: int) -> None:
    """Assert that each job has begun once, and that nothing counts against any."""
    attempts = fleet.rows("select attempt, retry_count, deaths, count(*) as jobs from @jobs group by 1, 2, 3")
    assert attempts == [{"attempt": 1, "retry_count": 0, "deaths": 0, "jobs": jobs}]
    assert fleet.rows("select count(*) as runs from @job_executions") == [{"runs": jobs}]


@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_a_drain_under_load_loses_nothing_and_uses_up_no_attempt(fleet: Fleet, marks: Path, pool: str) -> None:
    fleet.start_controller()
    leaving = fleet.start_worker("-c", "2", "-P", pool, name="leaving")
    fleet.start_worker("-c", "2", "-P", pool, name="staying")
    with Load(fleet, marks) as load:
        eventually(lambda: load.begun() > 20, 60, fleet.describe)
        drain(fleet, leaving, "leaving", 30)
        assert leaving.popen.wait(60) == 0
        seen = load.begun()
        eventually(lambda: load.begun() > seen + 20, 60, fleet.describe)
    assert fleet.wait_final(load.submitted, 60) == {"COMPLETED": load.submitted}
    assert starts(marks) == {f"{number}": [1] for number in range(load.submitted)}
    assert_nothing_burned(fleet, load.submitted)
    eventually(lambda: status(fleet, "leaving") == "gone", 30, fleet.describe)
    shown = ask(fleet, "show", name_of(fleet, "staying"))
    assert (shown["status"], shown["duty"], shown["report"]["duty"]) == ("alive", "work", "work")


@pytest.mark.parametrize("fleet", [{"JOBPLATFORM_DRAIN_SECONDS": "1"}], indirect=True)
@pytest.mark.parametrize("leave", [drain, terminate])
def test_a_job_that_outlasts_the_grace_goes_on_elsewhere_from_its_checkpoint(
    fleet: Fleet, marks: Path, leave: Leave
) -> None:
    fleet.start_controller()
    leaving = fleet.start_worker("-c", "2", name="leaving")
    fleet.client.tasks["drain_jobs.stages"].submit(str(marks))
    eventually(lambda: bool(fleet.rows("select from @jobs where checkpoint is not null")), 30, fleet.describe)
    leave(fleet, leaving, "leaving", 1)
    assert leaving.popen.wait(60) == 0
    (marks / "release").touch()
    fleet.start_worker("-c", "1", name="staying")
    assert fleet.wait_final(1, 60) == {"COMPLETED": 1}
    assert starts(marks) == {"from None": [1], "from half": [2]}
    (row,) = fleet.rows("select attempt, retry_count, deaths, result from @jobs")
    assert row == {"attempt": 2, "retry_count": 0, "deaths": 0, "result": 2}
    runs = fleet.rows("select status, error_type from @job_executions order by attempt_number")
    assert [tuple(run.values()) for run in runs] == [("FAILED", "Interrupted"), ("COMPLETED", None)]
    eventually(lambda: status(fleet, "leaving") == "gone", 30, fleet.describe)


@pytest.mark.parametrize("leave", [drain, terminate])
@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_a_job_with_checkpoints_lets_its_worker_leave_at_the_next_one(
    fleet: Fleet, marks: Path, pool: str, leave: Leave
) -> None:
    fleet.start_controller()
    leaving = fleet.start_worker("-c", "1", "-P", pool, name="leaving")
    fleet.client.tasks["drain_jobs.patient"].submit(str(marks))
    eventually(lambda: bool(fleet.rows("select from @jobs where checkpoint is not null")), 30, fleet.describe)
    leave(fleet, leaving, "leaving", 600)
    assert leaving.popen.wait(30) == 0
    eventually(lambda: fleet.states() == {"PENDING": 1}, 30, fleet.describe)
    (row,) = fleet.rows("select checkpoint from @jobs")
    (marks / "release").touch()
    fleet.start_worker("-c", "1", name="staying")
    assert fleet.wait_final(1, 60) == {"COMPLETED": 1}
    assert starts(marks) == {"first": [1], "again": [2]}
    ended = fleet.rows("select retry_count, deaths, result from @jobs")
    assert ended == [{"retry_count": 0, "deaths": 0, "result": row["checkpoint"]}]


#: Jobs before the long one.
QUICK = 100


@pytest.mark.parametrize("leave", [drain, terminate])
@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_what_waits_in_a_worker_that_leaves_runs_elsewhere_while_a_long_job_ends(
    fleet: Fleet, marks: Path, pool: str, leave: Leave
) -> None:
    long, brief = fleet.client.tasks["rescue_jobs.wait_for"], fleet.client.tasks["rescue_jobs.brief"]
    fleet.start_controller()
    # A worker that is fast holds many messages; for a second it keeps those behind the long job.
    brief.submit_many([(str(marks), f"quick{number}") for number in range(QUICK)])
    long.submit(str(marks), "long")
    brief.submit_many([(str(marks), f"brief{number}") for number in range(4)])
    leaving = fleet.start_worker("-c", "1", "-P", pool, name="leaving")
    eventually(lambda: "long" in starts(marks), 30, fleet.describe)
    leave(fleet, leaving, "leaving", 60)
    eventually(lambda: fleet.redis.hlen("unacked") == 1 and fleet.redis.llen("celery") == 4, 30, fleet.describe)
    fleet.start_worker("-c", "1", name="staying")
    eventually(lambda: len(starts(marks)) == QUICK + 5, 30, fleet.describe)
    assert leaving.running
    (marks / "release").touch()
    assert leaving.popen.wait(60) == 0
    assert fleet.wait_final(QUICK + 5, 60) == {"COMPLETED": QUICK + 5}
    assert set(map(tuple, starts(marks).values())) == {(1,)}
    assert_nothing_burned(fleet, QUICK + 5)


@pytest.mark.parametrize("fleet", [{"JOBPLATFORM_DRAIN_SECONDS": "0"}], indirect=True)
@pytest.mark.parametrize("pool", ["threads", "solo"])
def test_a_job_without_a_process_of_its_own_ends_before_its_worker_leaves(fleet: Fleet, marks: Path, pool: str) -> None:
    fleet.start_controller()
    leaving = fleet.start_worker("-c", "1", "-P", pool, name="leaving")
    fleet.client.tasks["rescue_jobs.wait_for"].submit(str(marks), "long")
    eventually(lambda: "long" in starts(marks), 30, fleet.describe)
    drain(fleet, leaving, "leaving", 0)
    eventually(lambda: leaving.says("this worker was asked to drain"), 30, leaving.tail)
    (marks / "release").touch()
    assert leaving.popen.wait(60) == 0
    assert fleet.wait_final(1, 60) == {"COMPLETED": 1}
    assert_nothing_burned(fleet, 1)


def test_a_signal_that_reaches_the_processes_of_jobs_as_well_interrupts_them(fleet: Fleet, marks: Path) -> None:
    fleet.start_controller()
    leaving = fleet.start_worker("-c", "2", name="leaving")
    fleet.client.tasks["drain_jobs.stages"].submit(str(marks))
    eventually(lambda: bool(fleet.rows("select from @jobs where checkpoint is not null")), 30, fleet.describe)
    main = psutil.Process(leaving.pid)
    for process in (main, *main.children(recursive=True)):
        process.terminate()
    assert leaving.popen.wait(60) == 0
    (marks / "release").touch()
    fleet.start_worker("-c", "1", name="staying")
    assert fleet.wait_final(1, 60) == {"COMPLETED": 1}
    assert starts(marks) == {"from None": [1], "from half": [2]}
    assert fleet.rows("select retry_count, deaths from @jobs") == [{"retry_count": 0, "deaths": 0}]


def test_more_signals_mean_what_they_mean_to_celery(fleet: Fleet, marks: Path) -> None:
    fleet.start_controller()
    leaving = fleet.start_worker("-c", "1", name="leaving")
    fleet.client.tasks["drain_jobs.stages"].submit(str(marks))
    eventually(lambda: bool(fleet.rows("select from @jobs where checkpoint is not null")), 30, fleet.describe)
    for number in range(2):
        leaving.popen.send_signal(signal.SIGTERM)
        eventually(lambda number=number: leaving.log.read_text().count("Warm shutdown") > number, 30, leaving.tail)
    assert leaving.running
    leaving.popen.send_signal(signal.SIGQUIT)
    leaving.popen.wait(20)
    (marks / "release").touch()
    fleet.start_worker("-c", "1", name="staying")
    assert fleet.wait_final(1, 60) == {"COMPLETED": 1}
    assert starts(marks) == {"from None": [1], "from half": [2]}
    assert fleet.rows("select retry_count from @jobs") == [{"retry_count": 0}]


def does(fleet: Fleet, name: str) -> str:
    """Ask what a worker said last that it does."""
    return str(ask(fleet, "show", name)["report"]["duty"])


@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_a_cordoned_worker_takes_nothing_until_it_is_uncordoned(fleet: Fleet, marks: Path, pool: str) -> None:
    long, brief = fleet.client.tasks["rescue_jobs.wait_for"], fleet.client.tasks["rescue_jobs.brief"]
    controller = fleet.start_controller()
    worker = fleet.start_worker("-c", "1", "-P", pool)
    long.submit(str(marks), "long")
    eventually(lambda: "long" in starts(marks), 30, fleet.describe)
    brief.submit_many([(str(marks), f"brief{number}") for number in range(4)])
    name = name_of(fleet, "w1")
    (asked,) = ask(fleet, "cordon", name, "--reason", "a look inside", "--by", "me")
    assert (asked["duty"], asked["outcome"]) == ("cordon", "asked")
    eventually(lambda: does(fleet, name) == "cordon", 30, fleet.describe)
    eventually(lambda: fleet.redis.hlen("unacked") == 1 and fleet.redis.llen("celery") == 4, 30, fleet.describe)
    (marks / "release").touch()
    eventually(lambda: fleet.states() == {"COMPLETED": 1, "PENDING": 4}, 30, fleet.describe)
    fleet.redis.flushall()
    assert_stays_cordoned(fleet, worker)
    fleet.stack.redis.kill(signal.SIGKILL)
    fleet.stack.redis.start()
    controller.stop(signal.SIGKILL)
    fleet.start_controller()
    assert_stays_cordoned(fleet, worker)
    assert starts(marks) == {"long": [1]}
    shown = ask(fleet, "show", name)
    assert (shown["duty"], shown["duty_reason"], shown["duty_by"]) == ("cordon", "a look inside", "me")
    ask(fleet, "uncordon", name)
    assert fleet.wait_final(5, 60) == {"COMPLETED": 5}
    assert len(starts(marks)) == 5


def assert_stays_cordoned(fleet: Fleet, worker: Process) -> None:
    """Wait until Redis knows everything again and the worker has seen it, and assert that it took nothing."""
    eventually(lambda: fleet.redis.hlen("jp:workers") == 1 and fleet.redis.hlen("jp:duties") == 2, 30, fleet.describe)
    eventually(lambda: fleet.redis.llen("celery") == 4, 60, fleet.describe)
    before = beat_of(fleet)
    eventually(lambda: beat_of(fleet) > before + 1, 30, fleet.describe)
    assert fleet.redis.hlen("unacked") == 0
    assert worker.running


def beat_of(fleet: Fleet) -> float:
    (value,) = fleet.redis.hvals("jp:workers") or [b"0 0 {}"]
    return float(value.split(b" ")[0])
