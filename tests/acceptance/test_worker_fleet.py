"""A fleet of real worker processes: its number, its members after a restart, and those that are replaced."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import frozen_jobs
import psutil
import pytest
import rescue_jobs
from fleet import Fleet
from kept_fleet import KeptFleet
from processes import eventually
from test_deploy import Load
from test_rescue import starts

from jobplatform.devstack.stack import DevStack
from jobplatform.store import fleets, replacements

CYCLES = 20
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
    with Fleet(stack, tmp_path, [rescue_jobs.__name__, frozen_jobs.__name__], **SETTINGS, **more) as made:
        made.start_controller()
        yield made


def wish(fleet: Fleet, wanted: int) -> None:
    with fleet.database.transaction() as transaction:
        fleets.wish(transaction, "worker", wanted, "a test", "test")


def ask_to_replace(fleet: Fleet, worker_id: str, reason: str) -> None:
    """Ask by hand once the worker has a row."""

    def asked() -> bool:
        with fleet.database.transaction() as transaction:
            return bool(replacements.ask(transaction, "worker", [worker_id], reason, "ann@desk"))

    eventually(asked, 30, fleet.describe)


def assert_nothing_burned(fleet: Fleet) -> None:
    """Assert that no retry was used up, and no death counted."""
    found = fleet.rows("select retry_count, deaths from @jobs group by 1, 2")
    assert found == [{"retry_count": 0, "deaths": 0}]


# A worker that is told to end while it runs a job interrupts that at once, so that none can end quietly beside its job.
@pytest.mark.parametrize("fleet", [{"JOBPLATFORM_DRAIN_SECONDS": "0"}], indirect=True)
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


def judge(fleet: Fleet, name: str, verdicts: int) -> None:
    """Write verdicts as the judge of workers does; its own, which says otherwise, come before them."""
    where = f"{fleet.settings.schema}."
    with fleet.database.engine.begin() as connection:
        for age in reversed(range(verdicts)):
            connection.exec_driver_sql(
                f"""insert into {where}verdicts (worker_id, judged_at, verdict, confidence, reason, decided_by)
                select worker_id, now() + {60 - age} * interval '1 second', 'failing', 0.95, 'its memory grows', 'rule'
                from {where}workers where name = %(name)s and status = 'alive'""",
                {"name": name},
            )
        connection.exec_driver_sql(
            f"update {where}workers set verdict = 'failing', confidence = 0.95 where name = %(name)s", {"name": name}
        )


def is_row(fleet: Fleet, name: str) -> bool:
    return bool(fleet.rows("select from @workers where name = %(name)s and status = 'alive'", name=name))


def test_a_failing_worker_is_replaced_and_its_job_ends(fleet: Fleet, marks: Path) -> None:
    with KeptFleet(fleet, fleet_min=2) as kept, Load(fleet, marks) as load:
        first, _ = kept.until_working(2)
        eventually(lambda: is_row(fleet, first.name), 30, fleet.describe)
        judge(fleet, first.name, 2)
        kept.until(lambda found: first.pid not in {member.pid for member in found})
        members = kept.until_working(2)
        load.stop.set()
        assert fleet.wait_final(load.submitted, 60) == {"COMPLETED": load.submitted}
    (row,) = kept.replacements()
    assert (row["name"], row["outcome"], row["asked_by"]) == (first.name, "replaced", "fleet")
    assert row["successor"] in {member.name for member in members}
    assert row["asked_at"] <= row["ready_at"] <= row["drained_at"] <= row["ended_at"]
    assert starts(marks) == {f"{number}": [1] for number in range(load.submitted)}
    assert_nothing_burned(fleet)


def test_a_single_verdict_replaces_nobody(fleet: Fleet) -> None:
    with KeptFleet(fleet, fleet_min=2) as kept:
        first, other = kept.until_working(2)
        for member in (first, other):
            eventually(lambda name=member.name: is_row(fleet, name), 30, fleet.describe)  # type: ignore[misc]
        judge(fleet, first.name, 1)
        judge(fleet, other.name, 2)
        kept.until(lambda found: other.pid not in {member.pid for member in found})
        kept.until_working(2)
    assert [row["name"] for row in kept.replacements()] == [other.name]


def test_a_stopped_worker_is_replaced_and_its_job_counts_no_death(fleet: Fleet, marks: Path) -> None:
    with KeptFleet(fleet, fleet_min=2) as kept:
        kept.until_working(2)
        fleet.client.tasks["rescue_jobs.wait_for"].submit(str(marks), "long")
        eventually(lambda: starts(marks) == {"long": [1]}, 30, fleet.describe)
        (busy,) = kept.until(lambda found: any(member.busy for member in found)) and [
            member for member in kept.members() if member.busy
        ]
        os.kill(busy.pid or 0, signal.SIGSTOP)
        kept.until(lambda found: busy.pid not in {member.pid for member in found})
        eventually(lambda: starts(marks) == {"long": [1, 2]}, 60, fleet.describe)
        (marks / "release").touch()
        assert fleet.wait_final(1, 60) == {"COMPLETED": 1}
        kept.until_working(2)
        assert not [each for each in kept.seen.values() if each.is_running() and each.status() == psutil.STATUS_STOPPED]
    (row,) = kept.replacements()
    assert (row["name"], row["outcome"]) == (busy.name, "replaced")
    assert "stopped" in row["reason"]
    assert_nothing_burned(fleet)
    runs = fleet.rows("select status, error_type, error_message from @job_executions order by attempt_number")
    assert [(run["status"], run["error_type"]) for run in runs] == [("FAILED", "Interrupted"), ("COMPLETED", None)]
    assert "stood still and was replaced" in runs[0]["error_message"]


@pytest.mark.parametrize("fleet", [{"JOBPLATFORM_DRAIN_SECONDS": "1"}], indirect=True)
def test_a_worker_whose_event_loop_is_deadlocked_is_replaced_by_hand(fleet: Fleet, marks: Path) -> None:
    with KeptFleet(fleet, fleet_min=2) as kept:
        kept.until_working(2)
        fleet.client.tasks["frozen_jobs.seize"].submit(str(marks))
        eventually(lambda: (marks / "seized").exists(), 30, fleet.describe)
        name = (marks / "seized").read_text()
        (victim,) = [member for member in kept.members() if member.name == name]
        ask_to_replace(fleet, victim.worker_id, "it answers nothing")
        kept.until(lambda found: victim.pid not in {member.pid for member in found})
        assert fleet.wait_final(1, 60) == {"COMPLETED": 1}
        kept.until_working(2)
    (row,) = kept.replacements()
    assert (row["name"], row["outcome"], row["asked_by"]) == (name, "replaced", "ann@desk")
    assert_nothing_burned(fleet)
