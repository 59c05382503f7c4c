"""A worker that cannot reach one of the stores, while everybody else does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import partition_jobs
import pytest
import rescue_jobs
from fleet import Fleet
from links import Links, links
from processes import eventually

from jobplatform.devstack.stack import DevStack

SETTINGS = {"JOBPLATFORM_HEARTBEAT_SECONDS": "0.5"}
QUICK, BRIEF = 200, 20


@pytest.fixture
def fleet(stack: DevStack, tmp_path: Path) -> Iterator[Fleet]:
    with Fleet(stack, tmp_path, [rescue_jobs.__name__, partition_jobs.__name__], **SETTINGS) as made:
        yield made


@pytest.fixture
def far(stack: DevStack) -> Iterator[Links]:
    """The links of the worker that is to be cut off."""
    with links({"redis": stack.redis.port, "postgres": stack.postgres.port}) as made:
        yield made


@pytest.fixture
def through(stack: DevStack, far: Links) -> dict[str, str]:
    """The environment of that worker."""
    redis_port, postgres_port = str(stack.redis.port), str(stack.postgres.port)
    return {
        "REDIS_URL": stack.redis_url.replace(redis_port, str(far.ports["redis"])),
        "DATABASE_URL": stack.database_url.replace(postgres_port, str(far.ports["postgres"])),
    }


def starts(marks: Path, name: str) -> list[str]:
    mark = marks / name
    return mark.read_text().split() if mark.exists() else []


@pytest.mark.parametrize("fault", ["cut", "stall"])
def test_a_worker_without_redis_loses_its_jobs_to_others_and_comes_back(
    fleet: Fleet, far: Links, through: dict[str, str], marks: Path, fault: str
) -> None:
    long, brief = fleet.client.tasks["rescue_jobs.wait_for"], fleet.client.tasks["rescue_jobs.brief"]
    # A worker that is fast holds many messages; for a second it keeps those behind the long job.
    brief.submit_many([(str(marks), f"quick{number}") for number in range(QUICK)])
    job_id = long.submit(str(marks), "long").id
    brief.submit_many([(str(marks), f"brief{number}") for number in range(BRIEF)])
    halfway = {"COMPLETED": QUICK, "PROCESSING": 1, "PENDING": BRIEF}
    fleet.start_controller()
    worker = fleet.start_worker("-c", "1", name="far", **through)
    eventually(lambda: dict(fleet.states()) == halfway, 60, fleet.describe)
    far.order(fault, "redis")
    near = fleet.start_worker("-c", "1", name="near")
    eventually(lambda: starts(marks, "long") == ["1", "2"], 60, fleet.describe)
    (marks / "release").touch()
    assert fleet.wait_final(QUICK + BRIEF + 1, 60) == {"COMPLETED": QUICK + BRIEF + 1}
    far.order("heal", "redis")
    said = (
        "select metrics->'stale'->>'kind' as said from @job_executions where job_id = %(id)s::uuid order by started_at"
    )
    eventually(lambda: [run["said"] for run in fleet.rows(said, id=job_id)] == ["completed", None], 60, worker.tail)
    near.stop()
    brief.submit_many([(str(marks), f"later{number}") for number in range(BRIEF)])
    assert fleet.wait_final(QUICK + 2 * BRIEF + 1, 60) == {"COMPLETED": QUICK + 2 * BRIEF + 1}
    assert worker.running
    for number in range(BRIEF):
        assert starts(marks, f"brief{number}") == starts(marks, f"later{number}") == ["1"]
    (row,) = fleet.rows("select attempt, result from @jobs where job_id = %(id)s::uuid", id=job_id)
    assert row == {"attempt": 2, "result": "2"}


def test_a_worker_without_postgresql_works_on_but_for_effects(
    fleet: Fleet, far: Links, through: dict[str, str], marks: Path
) -> None:
    once, brief = fleet.client.tasks["partition_jobs.mark_once"], fleet.client.tasks["rescue_jobs.brief"]
    fleet.start_controller()
    worker = fleet.start_worker("-c", "1", name="far", **through)
    far.order("cut", "postgres")
    once.submit(str(marks), "once")
    brief.submit_many([(str(marks), f"brief{number}") for number in range(BRIEF)])
    eventually(lambda: fleet.states()["COMPLETED"] == BRIEF, 60, fleet.describe)
    failed = "select count(*) as runs from @job_executions where error_type like '%%StoreUnavailable'"
    eventually(lambda: fleet.rows(failed)[0]["runs"] > 1, 30, worker.tail)
    assert not (marks / "once").exists()
    far.order("heal", "postgres")
    assert fleet.wait_final(BRIEF + 1, 60) == {"COMPLETED": BRIEF + 1}
    assert len(starts(marks, "once")) == 1
    assert worker.running
