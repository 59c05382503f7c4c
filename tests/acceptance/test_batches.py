"""Batches on real workers: counted exactly, and called back once, whatever is killed."""

from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import batch_jobs
import pytest
from fleet import Fleet
from processes import eventually

import jobplatform
from jobplatform import Workflow
from jobplatform.devstack.stack import DevStack
from jobplatform.jobs.batch import NewBatch

LARGE, SMALL, KILLS = 3_000, 150, 8
EVENTS = ("failure", "success", "complete", "exhausted")


@pytest.fixture
def fleet(stack: DevStack, tmp_path: Path) -> Iterator[Fleet]:
    with Fleet(stack, tmp_path, [batch_jobs.__name__], JOBPLATFORM_HEARTBEAT_SECONDS="1") as made:
        yield made


def task(fleet: Fleet, name: str) -> Any:
    return fleet.client.tasks[f"batch_jobs.{name}"]


def new_batch(fleet: Fleet, book: Path, name: str = "import") -> NewBatch:
    calls = {f"on_{event}": task(fleet, "tell").s(str(book), "{batch}") for event in EVENTS}
    return jobplatform.batch(name, app=fleet.client, **calls)


def items(fails: int, succeed: int) -> list[tuple[int, bool]]:
    return [(number, number < fails) for number in range(fails + succeed)]


def told(book: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in book.read_text().splitlines()] if book.exists() else []


def over(fleet: Fleet) -> bool:
    """Tell whether all batches have finished, and all that they called back has ended."""
    (row,) = fleet.rows(
        "select (select count(*) from @batches where complete_at is null) + (select count(*) from @batch_changes)"
        " + (select count(*) from @jobs where status not in ('COMPLETED', 'FAILED', 'CANCELLED')) as left"
    )
    return bool(row["left"] == 0)


def test_fifteen_succeed_and_five_fail(fleet: Fleet, tmp_path: Path) -> None:
    fleet.start_controller()
    fleet.start_worker("-c", "2")
    with new_batch(fleet, tmp_path / "book") as batch:
        batch.add_many(task(fleet, "item"), items(fails=5, succeed=15))
    eventually(lambda: over(fleet), 60, fleet.describe)
    progress = batch.progress()
    assert (progress.completed, progress.failed, progress.percent) == (15, 5, 100.0)
    assert Counter(call["event"] for call in told(tmp_path / "book")) == {
        "failure": 1, "complete": 1, "exhausted": 1,
    }  # fmt: skip


def test_running_jobs_add_to_their_batch(fleet: Fleet, tmp_path: Path) -> None:
    fleet.start_controller()
    fleet.start_worker("-c", "2")
    with new_batch(fleet, tmp_path / "book") as batch:
        batch.add(task(fleet, "fan_out"), 4, 20)
        flow = Workflow(fleet.client)
        first = flow.add(task(fleet, "item").s(1).set(batch=batch))
        flow.add(task(fleet, "fan_out").s(0, 20).set(batch=batch), after=first)
        flow.submit()
    eventually(lambda: over(fleet), 60, fleet.describe)
    calls = {call["event"]: call for call in told(tmp_path / "book")}
    assert calls.keys() == {"success", "complete"}
    assert calls["success"]["total"] == calls["success"]["completed"] == 6 * 21 + 1


@pytest.mark.long
def test_counts_are_exact_and_callbacks_come_once_while_controllers_are_killed(fleet: Fleet, tmp_path: Path) -> None:
    """One large batch, and small ones that are over all the time; a kill meets each step of counting and calling."""
    fleet.start_worker("-c", "2")
    book = tmp_path / "book"
    with new_batch(fleet, book, "large") as large:
        large.add_many(task(fleet, "item"), items(fails=300, succeed=LARGE - 300))
        large.add(task(fleet, "fan_out"), 4, 100)
    small = []
    for number in range(SMALL):
        with new_batch(fleet, book, f"small {number}") as batch:
            batch.add_many(task(fleet, "item"), items(fails=number % 2, succeed=9))
        small.append(batch.id)
    for kill in range(1, KILLS + 1):
        controller = fleet.start_controller()
        finished = SMALL * kill // (KILLS + 1)
        sql = "select count(*) as batches from @batches where complete_at is not null"
        eventually(lambda: fleet.rows(sql)[0]["batches"] >= finished, 120, fleet.describe)  # noqa: B023
        controller.stop(signal.SIGKILL)
    fleet.start_controller()
    eventually(lambda: over(fleet), 120, fleet.describe)
    check_counts(fleet)
    progress = large.progress()
    assert (progress.total, progress.failed, progress.cancelled) == (LARGE + 5 * 101, 300, 0)
    check_calls(fleet, told(book), large.id, small)


def check_counts(fleet: Fleet) -> None:
    """Compare the counts of all batches with the rows of their jobs."""
    rows = fleet.rows(
        """
        select b.name, b.total, b.completed, b.failed, b.cancelled, count(j.*) as jobs,
            count(*) filter (where j.status = 'COMPLETED') as succeeded,
            count(*) filter (where j.status = 'FAILED') as lost
        from @batches b left join @jobs j on j.batch_id = b.batch_id group by b.batch_id
        """
    )
    for row in rows:
        assert (row["total"], row["completed"], row["failed"]) == (row["jobs"], row["succeeded"], row["lost"]), row


def check_calls(fleet: Fleet, calls: list[dict[str, Any]], large: str, small: list[str]) -> None:
    failing, well = {"failure", "complete", "exhausted"}, {"success", "complete"}
    expected = {large: failing} | {batch: failing if number % 2 else well for number, batch in enumerate(small)}
    assert Counter((call["batch_id"], call["event"]) for call in calls) == {
        (batch, event): 1 for batch, events in expected.items() for event in events
    }
    (row,) = fleet.rows("select count(*) as jobs from @jobs where job_type = 'batch_jobs.tell'")
    assert row["jobs"] == len(calls)
    for call in calls:
        if call["event"] != "failure":
            assert call["completed"] + call["failed"] == call["total"], "it was over when it was called back"
