"""Cancelled jobs: those that wait never start, those that run are told, and killed if they do not stop."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import cancel_jobs
import pytest
import rescue_jobs
from click.testing import CliRunner
from fleet import Fleet
from processes import eventually

from jobplatform.cli import main
from jobplatform.devstack.stack import DevStack

QUICK = {
    "JOBPLATFORM_HEARTBEAT_SECONDS": "0.5",
    "JOBPLATFORM_LEASE_SECONDS": "60",
    "JOBPLATFORM_STOP_SECONDS": "2",
}


@pytest.fixture
def fleet(stack: DevStack, tmp_path: Path) -> Iterator[Fleet]:
    with Fleet(stack, tmp_path, [rescue_jobs.__name__, cancel_jobs.__name__], **QUICK) as made:
        yield made


def cancel(fleet: Fleet, *ids: str) -> list[str]:
    """Cancel jobs by the command line; returns what became of each."""
    said = CliRunner().invoke(main, ["jobs", "cancel", *ids, "--json"], env=fleet.environment, catch_exceptions=False)
    assert said.exit_code == 0, said.output
    return [row["outcome"] for row in json.loads(said.stdout)]


def is_told(fleet: Fleet, job_id: str) -> bool:
    """Tell whether the queues know that a job is cancelled."""
    return float(fleet.redis.hget("jp:fences", job_id) or 0) == 2


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_a_waiting_job_never_starts(fleet: Fleet, marks: Path, pool: str) -> None:
    brief, long = fleet.client.tasks["rescue_jobs.brief"], fleet.client.tasks["rescue_jobs.wait_for"]
    fleet.start_controller()
    queued = [brief.submit(str(marks), f"queued{number}").id for number in range(3)]
    assert cancel(fleet, queued[1]) == ["cancelled"]
    eventually(lambda: is_told(fleet, queued[1]), 30, fleet.describe)
    long.using(priority=5).submit(str(marks), "long")
    fleet.start_worker("-c", "1", "-P", pool)
    eventually((marks / "long").exists, 30, fleet.describe)
    assert cancel(fleet, queued[2]) == ["cancelled"]
    eventually(lambda: is_told(fleet, queued[2]), 30, fleet.describe)
    (marks / "release").touch()
    assert fleet.wait_final(4, 60) == {"COMPLETED": 2, "CANCELLED": 2}
    assert sorted(mark.name for mark in marks.iterdir()) == ["long", "queued0", "release"]


@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_a_running_job_is_told_and_stops(fleet: Fleet, marks: Path, pool: str) -> None:
    fleet.start_controller()
    fleet.start_worker("-c", "1", "-P", pool)
    job_id = fleet.client.tasks["cancel_jobs.polite"].submit(str(marks), "job").id
    eventually(lambda: fleet.states()["PROCESSING"] == 1, 30, fleet.describe)
    assert cancel(fleet, job_id) == ["told to stop"]
    eventually((marks / "job.noticed").exists, 30, fleet.describe)
    fleet.client.tasks["rescue_jobs.brief"].submit(str(marks), "next")
    assert fleet.wait_final(2, 60) == {"COMPLETED": 1, "CANCELLED": 1}
    assert (marks / "job").read_text() == "1\n"
    assert not fleet.rows("select * from @dead_letter_jobs")


def test_a_job_that_does_not_stop_is_killed(fleet: Fleet, marks: Path) -> None:
    fleet.start_controller()
    fleet.start_worker("-c", "1")
    job_id = fleet.client.tasks["cancel_jobs.stubborn"].submit(str(marks), "job").id
    eventually(lambda: fleet.states()["PROCESSING"] == 1, 30, fleet.describe)
    assert cancel(fleet, job_id) == ["told to stop"]
    fleet.client.tasks["rescue_jobs.brief"].submit(str(marks), "next")
    assert fleet.wait_final(2, 60) == {"COMPLETED": 1, "CANCELLED": 1}
    (run,) = fleet.rows("select status from @job_executions where job_id = %(id)s::uuid", id=job_id)
    assert run == {"status": "CANCELLED"}
    assert (marks / "job").read_text() == "1\n"
