"""States that running jobs save, on a real PostgreSQL."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from jobplatform.errors import InvalidPayload, StoreUnavailable, Superseded
from jobplatform.jobs.checkpoint import ROW_SECONDS, Checkpoint
from jobplatform.jobs.platform import Platform
from jobplatform.records import NewJob, new_job_id, row_of
from jobplatform.settings import Settings
from jobplatform.store import jobs, new_jobs
from jobplatform.store.database import Database

DEAD_DATABASE = "postgresql://postgres@127.0.0.1:1/nothing"


@pytest.fixture
def platform(settings: Settings, database: Database) -> Iterator[Platform]:
    made = Platform(settings)
    yield made
    made.close()


def add_row(database: Database, job_id: str, attempt: int = 1, status: str = "PENDING") -> None:
    with database.transaction() as transaction:
        new_jobs.insert(transaction, [row_of(NewJob(job_id, "t", "{}", "celery", attempt=attempt, status=status))])


@pytest.fixture
def job_id(database: Database) -> str:
    made = new_job_id()
    add_row(database, made)
    return made


def no_sleep(seconds: float) -> None:
    raise AssertionError("nothing is waited for")


def test_the_next_attempt_reads_what_the_last_one_saved(platform: Platform, job_id: str) -> None:
    first = Checkpoint(platform, job_id, 1, sleep=no_sleep)
    assert first.read() is None
    assert first.save({"done": (1, 2), "note": "ü"})
    assert first.read() == {"done": [1, 2], "note": "ü"}
    second = Checkpoint(platform, job_id, 2, sleep=no_sleep)
    assert second.read() == {"done": [1, 2], "note": "ü"}
    assert second.save(None)
    assert Checkpoint(platform, job_id, 3).read() is None


def test_a_state_is_read_once(platform: Platform, job_id: str) -> None:
    reader = Checkpoint(platform, job_id, 2)
    assert reader.read() is None
    assert Checkpoint(platform, job_id, 2).save(7)
    assert reader.read() is None


def test_a_superseded_run_overwrites_nothing(platform: Platform, database: Database) -> None:
    job_id = new_job_id()
    add_row(database, job_id, attempt=2)
    assert Checkpoint(platform, job_id, 2).save("further")
    with pytest.raises(Superseded, match="attempt 1 of job"):
        Checkpoint(platform, job_id, 1).save("behind")
    assert Checkpoint(platform, job_id, 3).read() == "further"


def test_a_row_on_its_way_through_the_journal_is_waited_for(platform: Platform, database: Database) -> None:
    job_id = new_job_id()
    checkpoint = Checkpoint(platform, job_id, 1, sleep=lambda seconds: add_row(database, job_id))
    assert checkpoint.save(1)
    assert Checkpoint(platform, job_id, 2).read() == 1


def test_a_row_that_does_not_come_is_waited_for_once(platform: Platform, caplog: pytest.LogCaptureFixture) -> None:
    clock, slept = itertools.count(0.0, ROW_SECONDS / 4), list[float]()
    checkpoint = Checkpoint(platform, new_job_id(), 1, clock=lambda: next(clock), sleep=slept.append)
    assert not checkpoint.save(1)
    waits = len(slept)
    assert waits == 4
    assert not checkpoint.save(2)
    assert len(slept) == waits
    assert caplog.text.count("its row is not there yet") == 2
    assert checkpoint.read() is None


def test_without_postgresql_nothing_is_saved_and_the_job_goes_on(
    platform: Platform, caplog: pytest.LogCaptureFixture
) -> None:
    away = Platform(replace(platform.settings, database_url=DEAD_DATABASE))
    first = Checkpoint(away, new_job_id(), 1, sleep=no_sleep)
    assert first.read() is None
    assert not first.save({"done": 1})
    assert "was not saved" in caplog.text
    with pytest.raises(StoreUnavailable, match="nobody knows where the job stopped"):
        Checkpoint(away, new_job_id(), 2).read()
    away.close()


@pytest.mark.parametrize(
    ("state", "field"),
    [
        ({"a": [1, {2, 3}]}, "state.a[1]"),
        ({1: "a"}, "state[1]"),
        ("nul\0", "state"),
        (float("nan"), "state"),
        ({"text": "\ud800"}, "state.text"),
        ("x" * 1_048_576, "state"),
        (object(), "state"),
    ],
)
def test_a_state_that_cannot_be_stored_is_refused(platform: Platform, job_id: str, state: Any, field: str) -> None:
    with pytest.raises(InvalidPayload) as refused:
        Checkpoint(platform, job_id, 1).save(state)
    assert refused.value.field == field
    assert platform._database is None


def test_a_state_that_contains_itself_or_is_too_deep_is_refused(platform: Platform, job_id: str) -> None:
    circle: list[Any] = []
    circle.append(circle)
    deep: Any = 0
    for _ in range(102):
        deep = [deep]
    for state in (circle, deep):
        with pytest.raises(InvalidPayload, match=r"circular|deeper"):
            Checkpoint(platform, job_id, 1).save(state)


def test_a_replayed_job_goes_on_from_its_checkpoint(platform: Platform, database: Database) -> None:
    job_id = new_job_id()
    add_row(database, job_id, status="FAILED")
    assert Checkpoint(platform, job_id, 1).save({"line": 3})
    with database.transaction() as transaction:
        assert jobs.replay(transaction, [job_id]) == [job_id]
    assert Checkpoint(platform, job_id, 2).read() == {"line": 3}
