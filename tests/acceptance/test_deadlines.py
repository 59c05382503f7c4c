"""Deadlines on real workers: what runs is stopped, what waits never begins."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import deadline_jobs
import pytest
import rescue_jobs
from celery import Celery
from deadline_jobs import starts
from fleet import Fleet
from processes import eventually

from jobplatform.devstack.stack import DevStack
from jobplatform.store import jobs

QUICK = {"JOBPLATFORM_HEARTBEAT_SECONDS": "0.5", "JOBPLATFORM_LEASE_SECONDS": "60"}
POOLS = ("prefork", "threads", "solo")


@pytest.fixture
def fleet(stack: DevStack, tmp_path: Path) -> Iterator[Fleet]:
    with Fleet(stack, tmp_path, [rescue_jobs.__name__, deadline_jobs.__name__], **QUICK) as made:
        yield made


@pytest.fixture
def marks(tmp_path: Path) -> Path:
    made = tmp_path / "marks"
    made.mkdir()
    return made


def submit(fleet: Fleet, marks: Path, name: str, **options: Any) -> str:
    return str(fleet.client.tasks[f"deadline_jobs.{name}"].using(**options).submit(str(marks), name).id)


def ends(fleet: Fleet) -> dict[str, tuple[str, str | None]]:
    """Tell how jobs ended, by the last part of their types."""
    found = fleet.rows("select job_type, status, error_type from @jobs")
    return {row["job_type"].rpartition(".")[2]: (row["status"], row["error_type"]) for row in found}


def test_what_runs_is_stopped_at_its_deadline(fleet: Fleet, marks: Path) -> None:
    fleet.start_controller()
    fleet.start_worker("-c", "4")
    for name, seconds in (("endless", 2), ("tidy", 4), ("untidy", 4)):
        submit(fleet, marks, name, deadline=seconds)
    submit(fleet, marks, "unbounded")
    assert fleet.wait_final(4, 60) == {"COMPLETED": 2, "FAILED": 2}
    assert ends(fleet) == {
        "endless": ("FAILED", "DeadlineExceeded"),
        "tidy": ("COMPLETED", None),
        "untidy": ("FAILED", "DeadlineExceeded"),
        "unbounded": ("COMPLETED", None),
    }
    results = fleet.rows("select result from @jobs where status = 'COMPLETED' order by result::text")
    assert [row["result"] for row in results] == ["cleaned up", True]
    runs = fleet.rows(
        "select j.job_type, e.status, e.error_type, e.error_message, "
        "extract(epoch from j.deadline_at - e.completed_at)::float8 as early "
        "from @job_executions e join @jobs j using (job_id) where j.status = 'FAILED' order by 1"
    )
    assert [(run["status"], run["error_type"]) for run in runs] == [("FAILED", "DeadlineExceeded")] * 2
    assert "its process was ended" in runs[0]["error_message"]
    assert "when it was warned" in runs[1]["error_message"]
    assert runs[0]["early"] <= 0.05, "not before its deadline"
    assert 0 < runs[1]["early"] <= 2.05, "half of its time before it"
    reasons = fleet.rows("select reason from @dead_letter_jobs")
    assert all(row["reason"].startswith("deadline: the deadline of the job is") for row in reasons)
    assert len(reasons) == 2
    assert [starts(marks, name) for name in ("endless", "tidy", "untidy")] == [1, 1, 1]


@pytest.mark.parametrize("pool", POOLS)
def test_a_job_that_looks_stops_in_every_pool(fleet: Fleet, marks: Path, pool: str) -> None:
    fleet.start_controller()
    # Celery starts a new process in place of one that was killed only after some seconds.
    fleet.start_worker("-c", "2", "-P", pool)
    for count, name in enumerate(("careful", "watchful"), 1):
        submit(fleet, marks, name, deadline=4)
        assert fleet.wait_final(count, 60) == {"FAILED": count}
    assert ends(fleet)["careful"] == ("FAILED", "DeadlineExceeded")
    assert ends(fleet)["watchful"][0] == "FAILED"
    reasons = fleet.rows("select reason from @dead_letter_jobs")
    assert all(row["reason"].startswith("deadline: ") for row in reasons)
    assert [starts(marks, name) for name in ("careful", "watchful")] == [1, 1]


@pytest.mark.parametrize("pool", POOLS)
def test_what_waits_in_a_worker_for_too_long_never_begins(fleet: Fleet, marks: Path, pool: str) -> None:
    fleet.start_controller()
    fleet.start_worker("-c", "1", "-P", pool)
    fleet.client.tasks["rescue_jobs.wait_for"].submit(str(marks), "long")
    eventually((marks / "long").exists, 30, fleet.describe)
    submit(fleet, marks, "endless", deadline=1)
    submit(fleet, marks, "careful", expires=1)
    submit(fleet, marks, "unbounded")
    foreign = Celery("foreign", broker=fleet.settings.redis_url, set_as_current=False)
    foreign.send_task("deadline_jobs.untidy", [str(marks), "untidy"], expires=1)
    foreign.send_task("deadline_jobs.tidy", [str(marks), "tidy"], headers={"jp_deadline": time.time() + 1})
    foreign.close()
    late = "select now() > max(least(expires_at, deadline_at)) + interval '1 s' as late from @jobs"
    eventually(lambda: fleet.rows(late)[0]["late"], 30)
    (marks / "release").touch()
    assert fleet.wait_final(6, 60) == {"COMPLETED": 2, "CANCELLED": 4}
    assert ends(fleet) == {
        "wait_for": ("COMPLETED", None),
        "endless": ("CANCELLED", "DeadlineExceeded"),
        "careful": ("CANCELLED", "Expired"),
        "unbounded": ("COMPLETED", None),
        "untidy": ("CANCELLED", "Expired"),
        "tidy": ("CANCELLED", "DeadlineExceeded"),
    }
    assert sorted(mark.name for mark in marks.iterdir()) == ["long", "release", "unbounded"]
    assert fleet.rows("select * from @dead_letter_jobs") == []


def test_a_dead_letter_that_is_replayed_has_as_long_once_more(fleet: Fleet, marks: Path) -> None:
    fleet.start_controller()
    fleet.start_worker("-c", "1")
    job_id = submit(fleet, marks, "second_time", deadline=3)
    assert fleet.wait_final(1, 60) == {"FAILED": 1}
    with fleet.database.transaction() as transaction:
        jobs.replay(transaction, [job_id])
    assert fleet.wait_final(1, 60) == {"COMPLETED": 1}
    (row,) = fleet.rows("select result, deadline from @jobs")
    assert row["deadline"] == 3
    assert 0 < row["result"] <= 3
