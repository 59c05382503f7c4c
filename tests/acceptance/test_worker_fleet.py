"""A fleet of real worker processes: its number, its members after a restart, and those that are replaced."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import frozen_jobs
import health_jobs
import psutil
import pytest
import rescue_jobs
from fleet import Fleet
from kept_fleet import KeptFleet
from processes import eventually
from test_deploy import Load
from test_rescue import starts

from benchmarks.leaks.limit import MemoryLimit
from jobplatform.devstack.stack import DevStack
from jobplatform.store import fleets
from jobplatform.workers.replacement import sentence

CYCLES = 20
MODULES = [module.__name__ for module in (rescue_jobs, frozen_jobs, health_jobs)]
#: What a worker may take, what each of so many jobs leaks there, in bytes.
LIMIT, LEAK, LEAKS = 600 * 1024 * 1024, 6 * 1024 * 1024, 100
#: Seconds that jobs take, by turns; most of the time a job runs that goes on when its worker says that it is cordoned.
BEYOND_CORDON = (0.0, 0.0, 0.02, 1.0)
SETTINGS = {
    "JOBPLATFORM_HEARTBEAT_SECONDS": "0.5",
    "JOBPLATFORM_LEASE_SECONDS": "60",
    "JOBPLATFORM_FLEET_START_SECONDS": "30",
}


@pytest.fixture
def fleet(stack: DevStack, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Fleet]:
    more: dict[str, str] = getattr(request, "param", {})
    with Fleet(stack, tmp_path, MODULES, **SETTINGS, **more) as made:
        made.start_controller()
        yield made


def wish(fleet: Fleet, wanted: int) -> None:
    with fleet.database.transaction() as transaction:
        fleets.wish(transaction, "worker", wanted, "a test", "test")


def assert_nothing_burned(fleet: Fleet) -> None:
    """Assert that no retry was used up, and no death counted."""
    found = fleet.rows("select retry_count, deaths from @jobs group by 1, 2")
    assert found == [{"retry_count": 0, "deaths": 0}]


# A worker that is told to end while it runs a job interrupts that at once, so that none can end quietly beside its job.
@pytest.mark.parametrize("fleet", [{"JOBPLATFORM_DRAIN_SECONDS": "0"}], indirect=True)
@pytest.mark.long
def test_scale_in_ends_no_busy_worker(fleet: Fleet, marks: Path) -> None:
    with KeptFleet(fleet, fleet_min=1) as kept, Load(fleet, marks, BEYOND_CORDON) as load:
        for _ in range(CYCLES):
            wish(fleet, 3)
            kept.until_working(3)
            seen = load.begun()
            # All of them have jobs by then, and what is let go is let go amid the load.
            eventually(lambda seen=seen: load.begun() > seen + 3, 30, fleet.describe)  # type: ignore[misc]
            wish(fleet, 2)
            kept.until_working(2)
        load.stop.set()
        assert fleet.wait_final(load.submitted, 60) == {"COMPLETED": load.submitted}
        assert len(kept.seen) >= CYCLES
        gone = "select count(*) as workers from @workers where status = 'gone'"
        eventually(lambda: fleet.rows(gone)[0]["workers"] >= CYCLES, 30, fleet.describe)
    assert starts(marks) == {f"{number}": [1] for number in range(load.submitted)}
    assert_nothing_burned(fleet)
    found = fleet.rows("select attempt_number, status, count(*) as runs from @job_executions group by 1, 2")
    assert found == [{"attempt_number": 1, "status": "COMPLETED", "runs": load.submitted}]
    # None of them was found dead, and almost none was let go before it had had a job.
    assert fleet.rows("select distinct status from @workers where status not in ('alive', 'gone')") == []
    (busy,) = fleet.rows("select count(distinct metrics->>'pid') as workers from @job_executions")
    assert busy["workers"] > CYCLES


@pytest.mark.parametrize("fork", ["on", "off"])
def test_a_worker_that_dies_is_followed_by_another(fleet: Fleet, fork: str) -> None:
    with KeptFleet(fleet, fleet_min=1, fleet_fork=fork) as kept:
        (first,) = kept.until_working(1)
        kept.seen[first.pid or 0].kill()
        (second,) = kept.until(lambda found: len(found) == 1 and found[0].takes and found[0].pid != first.pid)
        assert second.name != first.name


def test_without_the_process_that_forks_workers_are_new_processes(fleet: Fleet) -> None:
    with KeptFleet(fleet, fleet_min=1) as kept:
        (first,) = kept.until_working(1)
        # It takes with it what it has forked, as these workers are not to stay.
        kept.seen[first.pid or 0].parent().kill()  # type: ignore[union-attr]
        (second,) = kept.until(lambda found: len(found) == 1 and found[0].takes and found[0].pid != first.pid)
        parent = kept.seen[second.pid or 0].parent()
        assert parent is not None
        assert parent.pid == os.getpid()


def test_whoever_comes_after_finds_the_workers_again(fleet: Fleet) -> None:
    with KeptFleet(fleet, fleet_min=2, stays=True) as before:
        found = before.until_working(2)
    try:
        with KeptFleet(fleet, fleet_min=2) as kept:
            eventually(lambda: kept.rounds > 3, 30)
            assert {member.pid for member in kept.until_working(2)} == {member.pid for member in found}
            wish(fleet, 3)
            assert {member.pid for member in found} < {member.pid for member in kept.until_working(3)}
    finally:
        before.end()


@pytest.mark.parametrize("fleet", [{"JOBPLATFORM_WORKER_MEMORY": str(LIMIT)}], indirect=True)
def test_a_leaking_worker_is_replaced_before_it_dies_and_its_jobs_end(fleet: Fleet, marks: Path) -> None:
    with KeptFleet(fleet, fleet_min=2) as kept, Load(fleet, marks) as load, MemoryLimit(LIMIT, kept.pids) as limit:
        first, _ = kept.until_working(2)
        leaks = [(first.name, LEAK, 0.2) for _ in range(LEAKS)]
        fleet.client.tasks["health_jobs.leak_on"].submit_many(leaks)
        kept.until(lambda found: first.pid not in {member.pid for member in found})
        members = kept.until_working(2)
        load.stop.set()
        assert fleet.wait_final(load.submitted + LEAKS, 120) == {"COMPLETED": load.submitted + LEAKS}
    assert limit.killed == {}
    row = kept.replacement()
    assert (row["name"], row["outcome"], row["asked_by"]) == (first.name, "replaced", "fleet")
    assert "its memory grows" in row["reason"]
    assert row["successor"] in {member.name for member in members}
    assert row["asked_at"] <= row["ready_at"] <= row["drained_at"] <= row["ended_at"]
    assert starts(marks) == {f"{number}": [1] for number in range(load.submitted)}
    assert_nothing_burned(fleet)


def test_one_that_is_killed_is_followed_by_another_and_no_warning_was_possible(fleet: Fleet, marks: Path) -> None:
    with KeptFleet(fleet, fleet_min=2) as kept:
        kept.until_working(2)
        fleet.client.tasks["rescue_jobs.wait_for"].submit(str(marks), "long")
        eventually(lambda: starts(marks) == {"long": [1]}, 30, fleet.describe)
        busy = kept.until_busy()
        kept.seen[busy.pid or 0].kill()
        eventually(lambda: starts(marks) == {"long": [1, 2]}, 60, fleet.describe)
        (marks / "release").touch()
        assert fleet.wait_final(1, 60) == {"COMPLETED": 1}
        kept.until_working(2)
        eventually(kept.replacements, 30, fleet.describe)
        row = kept.replacement()
    assert (row["name"], row["outcome"], row["successor"]) == (busy.name, "died", None)
    assert "no warning was possible" in sentence(row)
    assert fleet.rows("select retry_count, deaths from @jobs") == [{"retry_count": 0, "deaths": 1}]


def test_a_stopped_worker_is_replaced_and_its_job_counts_no_death(fleet: Fleet, marks: Path) -> None:
    with KeptFleet(fleet, fleet_min=2) as kept:
        kept.until_working(2)
        fleet.client.tasks["rescue_jobs.wait_for"].submit(str(marks), "long")
        eventually(lambda: starts(marks) == {"long": [1]}, 30, fleet.describe)
        busy = kept.until_busy()
        os.kill(busy.pid or 0, signal.SIGSTOP)
        kept.until(lambda found: busy.pid not in {member.pid for member in found})
        eventually(lambda: starts(marks) == {"long": [1, 2]}, 60, fleet.describe)
        (marks / "release").touch()
        assert fleet.wait_final(1, 60) == {"COMPLETED": 1}
        kept.until_working(2)
        assert not [each for each in kept.seen.values() if each.is_running() and each.status() == psutil.STATUS_STOPPED]
    row = kept.replacement()
    assert (row["name"], row["outcome"]) == (busy.name, "replaced")
    assert "stopped" in row["reason"]
    assert_nothing_burned(fleet)
    runs = fleet.rows("select status, error_type, error_message from @job_executions order by attempt_number")
    assert [(run["status"], run["error_type"]) for run in runs] == [("FAILED", "Interrupted"), ("COMPLETED", None)]
    assert "stood still and was replaced" in runs[0]["error_message"]


def test_a_worker_whose_event_loop_is_deadlocked_is_found_and_replaced(fleet: Fleet, marks: Path) -> None:
    with KeptFleet(fleet, fleet_min=2) as kept:
        kept.until_working(2)
        fleet.client.tasks["frozen_jobs.seize"].submit(str(marks))
        seized = marks / "seized"
        name = eventually(lambda: seized.exists() and seized.read_text(), 30, fleet.describe)
        (victim,) = [member for member in kept.members() if member.name == name]
        kept.until(lambda found: victim.pid not in {member.pid for member in found})
        assert fleet.wait_final(1, 60) == {"COMPLETED": 1}
        kept.until_working(2)
    row = kept.replacement()
    assert (row["name"], row["outcome"], row["asked_by"]) == (name, "replaced", "fleet")
    assert "a callback in it does not return" in row["reason"]
    assert_nothing_burned(fleet)
