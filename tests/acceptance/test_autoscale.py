"""A worker with --autoscale, whose processes follow what its queues hold."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import rescue_jobs
from fleet import Fleet
from processes import eventually
from test_rescue import starts

from jobplatform.devstack.stack import DevStack
from jobplatform.transport.census import heartbeats

JOBS = 12


@pytest.fixture
def fleet(stack: DevStack, tmp_path: Path) -> Iterator[Fleet]:
    with Fleet(stack, tmp_path, [rescue_jobs.__name__], JOBPLATFORM_HEARTBEAT_SECONDS="0.5") as made:
        made.start_controller()
        yield made


def report(fleet: Fleet) -> dict[str, Any]:
    (said,) = [said.report for said in heartbeats(fleet.redis).values() if not said.report.get("gone")]
    return said


def children(fleet: Fleet) -> int:
    """Count the processes of the pool."""
    return len(report(fleet)["processes"]) - 1


def test_the_pool_grows_with_what_waits_and_shrinks_when_it_is_calm(fleet: Fleet, marks: Path) -> None:
    fleet.start_worker("--autoscale=5,2", name="elastic", JOBPLATFORM_IMPORTS="calm_jobs,rescue_jobs")
    eventually(lambda: children(fleet) == 2, 30, fleet.describe)
    fleet.client.tasks["rescue_jobs.wait_for"].submit_many([(str(marks), f"long{number}") for number in range(JOBS)])
    # As many as it may have, although it held only two messages when they came; all run at once.
    eventually(lambda: len(starts(marks)) == 5, 60, lambda: f"{starts(marks)} {fleet.describe()}")
    eventually(lambda: children(fleet) == 5, 30, fleet.describe)
    # And no message more than it has processes for is kept from other workers.
    eventually(lambda: fleet.redis.hlen("unacked") <= 7, 30, fleet.describe)
    (marks / "release").touch()
    assert fleet.wait_final(JOBS, 60) == {"COMPLETED": JOBS}
    eventually(lambda: children(fleet) == 2, 60, lambda: f"{report(fleet)['processes']}")
    assert starts(marks) == {f"long{number}": [1] for number in range(JOBS)}


def test_no_process_that_runs_a_job_ends_when_the_pool_shrinks(fleet: Fleet, marks: Path) -> None:
    fleet.start_worker("--autoscale=5,1", name="elastic", JOBPLATFORM_IMPORTS="calm_jobs,rescue_jobs")
    wait_for, steady = fleet.client.tasks["rescue_jobs.wait_for"], fleet.client.tasks["rescue_jobs.steady"]
    for number in range(2):
        wait_for.submit(str(marks), f"long{number}")
    steady.submit_many([(str(marks), f"short{number}", 0.2) for number in range(20)])
    eventually(lambda: children(fleet) == 5, 60, fleet.describe)
    eventually(lambda: fleet.states()["COMPLETED"] == 20 and children(fleet) == 2, 60, fleet.describe)
    (marks / "release").touch()
    assert fleet.wait_final(22, 60) == {"COMPLETED": 22}
    assert set(map(tuple, starts(marks).values())) == {(1,)}
