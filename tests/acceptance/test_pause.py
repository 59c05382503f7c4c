"""Paused queues, job types and jobs, with real workers: nothing begins, nothing is lost, and all goes on afterwards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pause_jobs
import pytest
import rescue_jobs
from click.testing import CliRunner
from fleet import Fleet
from processes import eventually

from jobplatform.cli import main
from jobplatform.devstack.stack import DevStack

JOBS = 30


@pytest.fixture
def fleet(stack: DevStack, tmp_path: Path) -> Iterator[Fleet]:
    imports = [rescue_jobs.__name__, pause_jobs.__name__]
    quick = {"JOBPLATFORM_HEARTBEAT_SECONDS": "0.5", "JOBPLATFORM_LEASE_SECONDS": "60", "JOBPLATFORM_QUEUES": "quiet"}
    with Fleet(stack, tmp_path, imports, **quick) as made:
        made.start_controller()
        yield made


def steer(fleet: Fleet, *arguments: str) -> Any:
    """Run a command; returns what it printed."""
    said = CliRunner().invoke(main, [*arguments, "--json"], env=fleet.environment, catch_exceptions=False)
    assert said.exit_code == 0, said.output
    return json.loads(said.stdout)


def is_known(fleet: Fleet, what: str) -> bool:
    """Tell whether Redis knows that something is paused."""
    return bool(fleet.redis.hexists("jp:paused", what))


def begun(marks: Path) -> set[str]:
    return {mark.name for mark in marks.iterdir()}


def assert_each_ran_once(fleet: Fleet, marks: Path, names: set[str]) -> None:
    assert begun(marks) - {"release"} == names
    assert {name: (marks / name).read_text().count("\n") for name in names} == dict.fromkeys(names, 1)
    (counts,) = fleet.rows("select max(retry_count) as retries, sum(deaths) as deaths from @jobs")
    assert counts == {"retries": 0, "deaths": 0}


@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_nothing_of_a_paused_queue_begins_until_it_is_resumed(fleet: Fleet, marks: Path, pool: str) -> None:
    brief, long = fleet.client.tasks["rescue_jobs.brief"], fleet.client.tasks["rescue_jobs.wait_for"]
    long.using(priority=5).submit(str(marks), "long")
    names = {f"queued{number}" for number in range(JOBS)}
    for name in sorted(names):
        brief.submit(str(marks), name)
    fleet.start_worker("-c", "1", "-P", pool, "-Q", "celery,quiet")
    eventually((marks / "long").exists, 30, fleet.describe)
    steer(fleet, "queues", "pause", "celery", "--reason", "the printer is broken", "--by", "ann")
    brief.using(queue="quiet").submit(str(marks), "beside")
    eventually(lambda: is_known(fleet, "queue:celery"), 30, fleet.describe)
    # What waits in the worker goes back.
    eventually(lambda: fleet.redis.hlen("unacked") == 1, 30, fleet.describe)
    (marks / "release").touch()
    eventually(lambda: fleet.states() == {"COMPLETED": 2, "PENDING": JOBS}, 30, fleet.describe)
    assert begun(marks) == {"long", "beside", "release"}
    (queue,) = [row for row in steer(fleet, "queues", "list")["queues"] if row["name"] == "celery"]
    assert (queue["waiting"], queue["reason"], queue["paused_by"]) == (JOBS, "the printer is broken", "ann")
    steer(fleet, "queues", "resume", "celery")
    assert fleet.wait_final(JOBS + 2, 60) == {"COMPLETED": JOBS + 2}
    assert_each_ran_once(fleet, marks, {"long", "beside", *names})
    assert fleet.rows("select max(attempt) as attempt from @jobs") == [{"attempt": 1}]


def test_a_pause_outlives_controller_worker_and_redis(fleet: Fleet, marks: Path) -> None:
    brief = fleet.client.tasks["rescue_jobs.brief"]
    steer(fleet, "queues", "pause", "celery")
    eventually(lambda: is_known(fleet, "queue:celery"), 30, fleet.describe)
    fleet.processes[0].stop()
    fleet.redis.flushdb()
    fleet.start_controller()
    eventually(lambda: is_known(fleet, "queue:celery"), 30, fleet.describe)
    for number in range(JOBS):
        brief.submit(str(marks), f"queued{number}")
    fleet.start_worker("-c", "1", "-Q", "celery,quiet")
    brief.using(queue="quiet").submit(str(marks), "beside")
    eventually(lambda: fleet.states()["COMPLETED"] == 1, 30, fleet.describe)
    assert begun(marks) == {"beside"}
    steer(fleet, "queues", "resume", "celery")
    assert fleet.wait_final(JOBS + 1, 60) == {"COMPLETED": JOBS + 1}


def test_jobs_of_a_paused_type_are_parked_and_others_run(fleet: Fleet, marks: Path) -> None:
    brief, other = fleet.client.tasks["rescue_jobs.brief"], fleet.client.tasks["pause_jobs.other"]
    steer(fleet, "types", "pause", "rescue_jobs.brief")
    eventually(lambda: is_known(fleet, "type:rescue_jobs.brief"), 30, fleet.describe)
    names = {f"queued{number}" for number in range(JOBS)}
    for name in sorted(names):
        brief.submit(str(marks), name)
        other.submit(str(marks), f"{name}.other")
    brief.apply_async((str(marks), "later"), countdown=0.5)
    fleet.start_worker("-c", "2")
    eventually(lambda: fleet.states() == {"PAUSED": JOBS + 1, "COMPLETED": JOBS}, 30, fleet.describe)
    assert begun(marks) == {f"{name}.other" for name in names}
    (shown,) = fleet.rows(
        "select distinct hold_by, hold_reason like 'paused:%%' as said from @jobs where hold_by <> ''"
    )
    assert shown == {"hold_by": "platform", "said": True}
    steer(fleet, "types", "resume", "rescue_jobs.brief")
    assert fleet.wait_final(2 * JOBS + 1, 60) == {"COMPLETED": 2 * JOBS + 1}
    assert_each_ran_once(fleet, marks, {"later", *names, *(f"{name}.other" for name in names)})


def test_a_single_job_is_paused_and_resumed(fleet: Fleet, marks: Path) -> None:
    brief = fleet.client.tasks["rescue_jobs.brief"]
    ids = [brief.submit(str(marks), f"queued{number}").id for number in range(3)]
    assert [row["outcome"] for row in steer(fleet, "jobs", "pause", ids[1], "--reason", "wait")] == ["paused"]
    eventually(lambda: fleet.redis.hexists("jp:fences", ids[1]), 30, fleet.describe)
    fleet.start_worker("-c", "1")
    eventually(lambda: fleet.states() == {"PAUSED": 1, "COMPLETED": 2}, 30, fleet.describe)
    eventually(fleet.is_quiet, 30, fleet.describe)
    assert begun(marks) == {"queued0", "queued2"}
    steer(fleet, "jobs", "resume", ids[1])
    assert fleet.wait_final(3, 30) == {"COMPLETED": 3}
    assert_each_ran_once(fleet, marks, {"queued0", "queued1", "queued2"})


@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_a_running_job_stops_at_a_checkpoint_and_goes_on_from_it(fleet: Fleet, marks: Path, pool: str) -> None:
    fleet.start_worker("-c", "1", "-P", pool)
    job_id = fleet.client.tasks["pause_jobs.steps"].submit(str(marks), "step", 5).id
    eventually((marks / "step.2").exists, 30, fleet.describe)
    eventually(lambda: fleet.states()["PROCESSING"] == 1, 30, fleet.describe)
    assert [row["outcome"] for row in steer(fleet, "jobs", "pause", job_id)] == ["asked to pause"]
    eventually(lambda: fleet.states() == {"PAUSED": 1}, 30, fleet.describe)
    (attempt,) = fleet.rows("select status, error_type from @job_executions")
    assert attempt == {"status": "FAILED", "error_type": "Interrupted"}
    (marks / "release").touch()
    fleet.client.tasks["rescue_jobs.brief"].submit(str(marks), "beside")
    eventually(lambda: fleet.states() == {"PAUSED": 1, "COMPLETED": 1}, 30, fleet.describe)
    steer(fleet, "jobs", "resume", job_id)
    assert fleet.wait_final(2, 30) == {"COMPLETED": 2}
    runs = {step: (marks / f"step.{step}").read_text().split() for step in range(5)}
    assert runs == {0: ["1"], 1: ["1"], 2: ["1", "3"], 3: ["3"], 4: ["3"]}
    (row,) = fleet.rows("select retry_count, deaths, result from @jobs where job_id = %(id)s::uuid", id=job_id)
    assert row == {"retry_count": 0, "deaths": 0, "result": 5}


def test_moved_jobs_run_where_and_when_they_are_moved_to(fleet: Fleet, marks: Path) -> None:
    brief = fleet.client.tasks["rescue_jobs.brief"]
    ids = [brief.submit(str(marks), f"queued{number}").id for number in range(4)]
    steer(fleet, "jobs", "move", ids[1], "--to", "quiet")
    steer(fleet, "jobs", "move", ids[3], "--priority", "5")
    eventually(lambda: fleet.redis.hlen("jp:fences") == 2, 30, fleet.describe)
    fleet.start_worker("-c", "1", "-P", "solo")
    eventually(lambda: fleet.states()["COMPLETED"] == 3, 30, fleet.describe)
    rows = fleet.rows("select job_id::text, started_at from @jobs where started_at is not null order by started_at")
    assert [row["job_id"] for row in rows] == [ids[3], ids[0], ids[2]]
    fleet.start_worker("-c", "1", "-Q", "quiet", name="w2")
    assert fleet.wait_final(4, 30) == {"COMPLETED": 4}
    assert_each_ran_once(fleet, marks, {f"queued{number}" for number in range(4)})


def test_all_jobs_that_match_a_filter_are_cancelled(fleet: Fleet, marks: Path) -> None:
    brief = fleet.client.tasks["rescue_jobs.brief"]
    for number in range(120):
        brief.using(tags=("mine",) if number % 2 else ()).submit(str(marks), f"queued{number:03}")
    assert steer(fleet, "jobs", "cancel", "--tag", "mine", "--dry-run") == {"matching": 60}
    assert fleet.states() == {"PENDING": 120}
    assert steer(fleet, "jobs", "cancel", "--tag", "mine") == {"cancelled": 60}
    eventually(lambda: fleet.redis.hlen("jp:fences") == 60, 30, fleet.describe)
    fleet.start_worker("-c", "1")
    assert fleet.wait_final(120, 30) == {"COMPLETED": 60, "CANCELLED": 60}
    assert begun(marks) == {f"queued{number:03}" for number in range(0, 120, 2)}
