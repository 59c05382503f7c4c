"""Who adds jobs to a batch, when, and how it is known that nobody does any more."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from batch_place import Place, item, opened
from celery import Celery
from sqlalchemy.orm import Session

import jobplatform
from jobplatform import Workflow, find_batch
from jobplatform.errors import BatchClosed, BatchNotFound, StoreUnavailable
from jobplatform.jobs import admission, membership
from jobplatform.jobs.batch import Batch
from jobplatform.jobs.platform import Platform
from jobplatform.jobs.retry import decide_all
from jobplatform.journal.mirror import Mirror
from jobplatform.records import new_job_id
from jobplatform.settings import Settings
from jobplatform.store import jobs
from jobplatform.store.database import Database

DEAD_DATABASE = "postgresql://postgres@127.0.0.1:1/nothing"


@pytest.fixture
def app(settings: Settings, database: Database, client: Any) -> Iterator[Celery]:
    made = Celery("batches", set_as_current=True)
    jobplatform.attach(made, settings)
    made.set_default()
    yield made
    made.jobplatform.close()
    made.close()


@pytest.fixture
def place(database: Database) -> Place:
    return Place(database)


def test_a_closed_batch_takes_no_jobs_and_says_what_to_do(app: Celery, place: Place) -> None:
    with opened() as batch:
        pass
    with pytest.raises(BatchClosed, match=r"\(import\) is closed; open another batch, or let a job of this one"):
        batch.add(item)
    with pytest.raises(BatchClosed):
        batch.add_many(item, [1, 2])
    with pytest.raises(BatchClosed):
        batch.add(item.using(unique=jobplatform.Unique("k")))
    with Session(app.jobplatform.database.engine) as session, pytest.raises(BatchClosed):
        batch.add(item.using(session=session))
    flow = Workflow()
    flow.add(item.s().set(batch=batch))
    with pytest.raises(BatchClosed):
        flow.submit()
    assert place.rows() == []


def test_what_nobody_has_opened_is_not_there(app: Celery, place: Place) -> None:
    with pytest.raises(BatchNotFound, match="there is none of this id"):
        opened().add(item)
    with pytest.raises(BatchNotFound):
        find_batch(new_job_id())
    with pytest.raises(BatchNotFound):
        opened().close()
    assert place.rows() == []


def test_a_batch_fills_in_callers_transactions(app: Celery, place: Place) -> None:
    batch = opened().open()
    with Session(app.jobplatform.database.engine) as session:
        batch.add(item.using(session=session))
        session.rollback()
        batch.add(item.using(session=session))
        batch.add_many(item.using(session=session), [1, 2])
        session.commit()
    assert batch.progress().total == 3


def test_who_adds_while_it_is_closed_is_waited_for(app: Celery, place: Place) -> None:
    """The batch is closed, and every job that is seen has ended, while a transaction adds one."""
    batch = opened().open()
    first = batch.add(item)
    with Session(app.jobplatform.database.engine) as session:
        second = batch.add(item.using(session=session))
        batch.close()
        place.end(first.id)
        place.settle()
        assert place.events() == []
        session.commit()
    place.settle()
    assert place.events() == []
    place.end(second.id)
    place.settle()
    assert place.events() == ["complete", "success"]


def test_who_gives_up_adding_keeps_it_from_nothing(app: Celery, place: Place) -> None:
    batch = opened().open()
    with Session(app.jobplatform.database.engine) as session:
        batch.add(item.using(session=session))
        batch.close()
        place.settle()
        session.rollback()
    place.settle()
    assert place.events() == ["complete", "success"]


def test_adding_and_closing_at_once_loses_nothing(app: Celery, place: Place) -> None:
    """Whatever was added is counted before the batch is over; the others were refused."""
    stop = threading.Event()

    def count() -> None:
        while not stop.is_set():
            place.tallier.run_once(datetime.now(UTC))

    counting = threading.Thread(target=count)
    counting.start()
    try:
        for _ in range(25):
            _add_and_close(place)
    finally:
        stop.set()
        counting.join()


def _add_and_close(place: Place) -> None:
    batch, added, begin = opened().open(), list[str](), threading.Barrier(5)

    def add() -> None:
        begin.wait()
        with suppress(BatchClosed):
            while True:
                added.append(batch.add(item).id)
                place.end(added[-1])

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    begin.wait()
    batch.close()
    for thread in threads:
        thread.join()
    call = eventually(lambda: [call for call in place.calls() if call["batch_id"] == batch.id], "complete")
    assert call[0]["total"] == len(set(added)) == batch.progress().completed


def eventually(ask: Callable[[], list[Any]], what: str, seconds: float = 20.0) -> list[Any]:
    deadline = time.monotonic() + seconds
    while not (found := ask()):
        assert time.monotonic() < deadline, what
        time.sleep(0.01)
    return found


class Worker:
    """The client of a test as a running job sees it: what it submits goes through the journal."""

    def __init__(self, app: Celery, database: Database, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.platform = app.jobplatform
        self.monkeypatch = monkeypatch
        self.mirror = Mirror(client, database, decide_all, lambda seconds: None, batch=100, block_seconds=0.01)

    def running(self, batch_id: str | None) -> None:
        """Let a job of a batch run here."""
        self.platform.in_worker = True
        for module in (membership, admission):
            self.monkeypatch.setattr(module, "running_batch", lambda: batch_id)

    def mirrored(self) -> None:
        self.platform.in_worker = False
        while self.mirror.run_once(None):  # type: ignore[arg-type]
            pass


@pytest.fixture
def worker(app: Celery, database: Database, client: Any, monkeypatch: pytest.MonkeyPatch) -> Worker:
    return Worker(app, database, client, monkeypatch)


def test_a_running_job_adds_to_its_closed_batch_through_the_journal(app: Celery, place: Place, worker: Worker) -> None:
    with opened() as batch:
        first = batch.add(item)
    worker.running(batch.id)
    ids = [batch.add(item, 1).id, *batch.add_many(item, [2, 3])]
    assert len(place.rows()) == 1, "they are in the journal"
    worker.mirrored()
    place.end(first.id)
    place.settle()
    assert place.events() == []
    assert {str(row["batch_id"]) for row in place.rows()} == {batch.id}
    assert batch.progress().waiting == 3
    place.end(*ids)
    place.settle()
    assert place.calls()[0]["total"] == 4


def test_a_running_job_of_another_batch_asks_whether_this_one_is_open(
    app: Celery, place: Place, worker: Worker
) -> None:
    with opened() as batch:
        pass
    other = opened("other").open()
    worker.running(other.id)
    with pytest.raises(BatchClosed):
        batch.add(item)
    with pytest.raises(BatchClosed):
        batch.add_many(item, [1])
    worker.running(None)
    other.add(item)
    assert other.progress().total == 1, "its row is written before its message"


def test_nothing_is_added_while_nobody_can_tell_whether_it_is_open(app: Celery, place: Place, client: Any) -> None:
    batch = opened().open()
    app.jobplatform = Platform(replace(app.jobplatform.settings, database_url=DEAD_DATABASE, connect_seconds=1.0))
    lost = Batch(batch.id, app.jobplatform)
    for add in (
        lambda: lost.add(item),
        lambda: lost.add_many(item, [1]),
        lambda: lost.add(item.using(unique=jobplatform.Unique("k"))),
        lost.close,
        lost.progress,
    ):
        with pytest.raises(StoreUnavailable, match=f"batch {batch.id}"):
            add()
    assert client.keys("*") == []


def test_a_batch_is_cancelled_by_the_controller_with_what_it_still_adds(
    app: Celery, place: Place, worker: Worker
) -> None:
    batch = opened().open()
    first, *others = batch.add_many(item, range(30))
    place.end(first)
    assert batch.cancel("no more")
    place.settle()
    assert batch.progress().cancelled == 29
    assert place.events() == ["complete"]
    assert {row["error_message"] for row in place.rows() if row["status"] == "CANCELLED"} == {"no more"}
    worker.running(batch.id)
    batch.add(item)
    worker.mirrored()
    place.settle()
    assert batch.progress().cancelled == 30, "a job that was told to stop has added one before it did"
    assert not batch.cancel()
    with place.database.transaction() as transaction:
        assert jobs.replay(transaction, others[:1]) == others[:1]
    place.settle()
    assert batch.progress().waiting == 1, "what is replayed by hand runs"
    with pytest.raises(BatchNotFound):
        jobplatform.batch("x").cancel()
