"""One clock is an hour off: nothing runs early, nothing waits for an hour, nothing expires before its time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import clock_jobs
import pytest
from clock_jobs import JOBS, LATER
from fleet import HERE, Fleet
from processes import eventually

from jobplatform.devstack.stack import DevStack

HOUR = 3_600
#: What is no more than this apart was not moved by a clock that is an hour off, in seconds.
NEAR = 60.0


@pytest.fixture
def fleet(stack: DevStack, tmp_path: Path) -> Iterator[Fleet]:
    with Fleet(stack, tmp_path, [clock_jobs.__name__]) as made:
        yield made


@pytest.mark.parametrize("off", [HOUR, -HOUR], ids=["ahead", "behind"])
@pytest.mark.parametrize("who", ["client", "worker", "controller"])
def test_a_clock_that_is_an_hour_off_moves_no_job(fleet: Fleet, who: str, off: int) -> None:
    fleet.start_controller(ahead=off if who == "controller" else 0)
    fleet.start_worker("-c", "2", ahead=off if who == "worker" else 0)
    scheduled_for = (datetime.now(UTC) + timedelta(seconds=LATER)).isoformat()
    script = str(HERE / "clock_jobs.py")
    fleet.python(script, scheduled_for, name="client", ahead=off if who == "client" else 0)
    assert fleet.wait_final(JOBS, 30) == {"COMPLETED": JOBS}
    rows = fleet.rows(
        """
        select job_type, attempt, extract(epoch from scheduled_at - created_at)::float8 as put_off,
            extract(epoch from first.started_at - coalesce(scheduled_at, created_at))::float8 as waited,
            extract(epoch from j.started_at - first.completed_at)::float8 as pause,
            greatest(extract(epoch from enqueued_at - created_at), 0)::float8 as late,
            extract(epoch from expires_at - created_at)::float8 as wanted
        from @jobs j join @job_executions first on first.job_id = j.job_id and first.attempt_number = 1
        """
    )
    for row in rows:
        assert -0.1 <= row["waited"] < NEAR, row
        assert row["late"] < NEAR, row
        assert row["put_off"] is None or abs(row["put_off"] - LATER) < NEAR, row
        assert row["wanted"] is None or abs(row["wanted"] - clock_jobs.WANTED) < NEAR, row
        if row["job_type"] == "clock_jobs.stumble":
            assert LATER - 0.1 <= row["pause"] < NEAR, row
    assert {row["attempt"] for row in rows if row["job_type"] != "clock_jobs.stumble"} == {1}


@pytest.mark.parametrize("off", [HOUR, -HOUR], ids=["ahead", "behind"])
def test_what_a_client_with_a_wrong_clock_submits_is_found_when_redis_loses_it(fleet: Fleet, off: int) -> None:
    client = fleet.python(str(HERE / "clock_jobs.py"), datetime.now(UTC).isoformat(), name="client", ahead=off)
    client.popen.wait(30)
    assert fleet.redis.llen("celery") > 0
    fleet.redis.flushall()
    fleet.start_controller()
    fleet.start_worker("-c", "2")
    eventually(lambda: fleet.states()["COMPLETED"] == JOBS, 60, fleet.describe)
    assert fleet.rows("select count(*) as runs from @job_executions") == [{"runs": JOBS}]
