"""Jobs of which there is one at a time."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from typing import Any

import pytest

from jobplatform.errors import KeyTaken
from jobplatform.records import NewJob, new_job_id
from jobplatform.store import dependencies, jobs, uniqueness
from jobplatform.store.database import Database
from jobplatform.store.uniqueness import Submitted

MODES = ("existing", "reject", "replace", "debounce", "keep_last")


class Place:
    def __init__(self, database: Database) -> None:
        self.database = database

    def submit(
        self, value: int = 0, mode: str = "existing", scope: str = "unfinished", key: str = "k", **values: Any
    ) -> Submitted:
        payload = json.dumps({"args": [value], "kwargs": {}})
        wishes = {"unique_key": key, "unique_scope": scope, "enqueued_at": time.time(), **values}
        job = NewJob(new_job_id(), "t.job", payload, "celery", **wishes)
        with self.database.transaction() as transaction:
            return uniqueness.submit(transaction, job, mode)

    def become(self, job_id: str, status: str) -> None:
        rank = {"PROCESSING": 2, "COMPLETED": 4, "FAILED": 4}[status]
        with self.database.transaction() as transaction:
            (row,) = [row for row in self.rows() if row["id"] == job_id]
            rows = [{"job_id": job_id, "status": status, "attempt": row["attempt"], "rank": rank}]
            jobs.apply_transitions(transaction, rows)
            dependencies.settle(transaction, [job_id])

    def rows(self) -> list[Mapping[str, Any]]:
        with self.database.session() as session:
            found = session.connection.exec_driver_sql(
                f'select job_id::text as id, * from "{self.database.schema}".jobs order by created_at, job_id'
            )
            return list(found.mappings())


@pytest.fixture
def place(database: Database) -> Place:
    return Place(database)


@pytest.mark.parametrize("mode", MODES)
def test_of_fifty_at_once_there_is_one(place: Place, mode: str) -> None:
    begin = threading.Barrier(50)
    found: list[Submitted | str] = []

    def submit(number: int) -> None:
        begin.wait()
        try:
            found.append(place.submit(number, mode, scheduled_at=time.time() + 60 if mode == "debounce" else None))
        except KeyTaken as error:
            found.append(error.job_id)

    threads = [threading.Thread(target=submit, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (row,) = place.rows()
    assert [each for each in found if isinstance(each, Submitted) and each.made] == [Submitted(row["id"], True)]
    assert {each if isinstance(each, str) else each.job_id for each in found} == {row["id"]}
    assert len(found) == 50


@pytest.mark.parametrize(
    ("scope", "status", "free"),
    [
        ("waiting", "PROCESSING", True),
        ("waiting", "COMPLETED", True),
        ("unfinished", "PROCESSING", False),
        ("unfinished", "FAILED", True),
        ("unfinished", "COMPLETED", True),
        ("period", "COMPLETED", False),
    ],
)
def test_the_lock_lives_as_long_as_its_scope_says(place: Place, scope: str, status: str, free: bool) -> None:
    values = {"unique_until": time.time() + 600} if scope == "period" else {}
    first = place.submit(1, scope=scope, **values)
    assert not place.submit(2, scope=scope, **values).made
    place.become(first.job_id, status)
    assert place.submit(3, scope=scope, **values).made is free


def test_a_period_ends_by_itself(place: Place) -> None:
    first = place.submit(1, scope="period", unique_until=time.time() - 1)
    second = place.submit(2, scope="period", unique_until=time.time() + 600)
    assert second.made
    assert second.job_id != first.job_id
    assert place.submit(3, scope="period") == Submitted(second.job_id, made=False)


def test_other_keys_are_free(place: Place) -> None:
    assert place.submit(key="a").made
    assert place.submit(key="b").made


def test_reject_names_the_other_job(place: Place) -> None:
    first = place.submit()
    with pytest.raises(KeyTaken, match=f"'k' is taken by job {first.job_id}"):
        place.submit(mode="reject")
    assert len(place.rows()) == 1


def test_replace_gives_what_waits_the_new_arguments(place: Place) -> None:
    first = place.submit(1)
    assert place.submit(2, "replace", priority=5) == Submitted(first.job_id, made=False)
    (row,) = place.rows()
    assert (row["payload"]["args"], row["priority"], row["status"], row["attempt"]) == ([2], 5, "PENDING", 2)
    assert row["due_at"] is not None, "the message that is on its way does not count any more"
    place.become(first.job_id, "PROCESSING")
    assert place.submit(3, "replace") == Submitted(first.job_id, made=False)
    assert place.rows()[0]["payload"]["args"] == [2], "what runs is left alone"


def test_debounce_begins_to_wait_anew(place: Place) -> None:
    first = place.submit(1, "debounce", status="SCHEDULED", scheduled_at=1_900_000_000.0, due_at=1_900_000_000.0)
    assert place.submit(2, "debounce", scheduled_at=1_900_000_060.0) == Submitted(first.job_id, made=False)
    (row,) = place.rows()
    assert (row["payload"]["args"], row["status"]) == ([2], "SCHEDULED")
    assert row["due_at"].timestamp() == row["scheduled_at"].timestamp() == 1_900_000_060.0


def test_keep_last_lets_the_last_wait_for_what_runs(place: Place) -> None:
    first = place.submit(1, "keep_last", "waiting")
    place.become(first.job_id, "PROCESSING")
    second = place.submit(2, "keep_last", "waiting")
    assert second.made
    assert place.submit(3, "keep_last", "waiting") == Submitted(second.job_id, made=False)
    states = {row["id"]: (row["status"], row["payload"]["args"]) for row in place.rows()}
    assert states == {first.job_id: ("PROCESSING", [1]), second.job_id: ("BLOCKED", [3])}
    place.become(first.job_id, "COMPLETED")
    assert {row["id"]: row["status"] for row in place.rows()}[second.job_id] == "PENDING"
