"""Batches: what they call back, and what becomes of what is cancelled, replayed or refused."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from batch_place import Place, item, opened, tell
from celery import Celery

import jobplatform
from jobplatform import find_batch, job
from jobplatform.errors import BatchClosed, InvalidPayload, JobOptionError
from jobplatform.settings import Settings
from jobplatform.store import jobs
from jobplatform.store.database import Database
from jobplatform.tally import BatchState


@job(name="b.only", unique=jobplatform.Unique())
def only() -> None: ...


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


def test_fifteen_succeed_and_five_fail(app: Celery, place: Place) -> None:
    with opened() as batch:
        ids = [batch.add(item, number).id for number in range(15)]
        ids += batch.add_many(item, range(5))
    assert batch.progress().waiting == 20
    place.end(*ids[:10])
    place.settle()
    assert place.events() == []
    progress = batch.progress()
    assert (progress.percent, progress.completed, progress.state) == (50.0, 10, BatchState.CLOSED)
    place.end(ids[15], status="FAILED")
    place.settle()
    assert place.events() == ["failure"], "it is called back at once"
    place.end(*ids[10:15])
    place.end(*ids[16:], status="FAILED")
    place.settle()
    assert place.events() == ["complete", "exhausted", "failure"]
    counts = {"total": 20, "completed": 15, "failed": 5, "cancelled": 0}
    assert place.calls()[0] == {"batch_id": batch.id, "name": "import", "event": "complete", **counts}
    progress = find_batch(batch.id).progress()
    assert (progress.state, progress.percent, progress.completed, progress.failed) == ("finished", 100.0, 15, 5)
    assert place.settle() == {}


def test_success_is_called_back_when_all_have_completed(app: Celery, place: Place) -> None:
    batch = opened().open()
    first = batch.add(item, 1)
    place.end(first.id)
    place.settle()
    assert place.events() == [], "it is open"
    batch.close()
    batch.close()
    place.settle()
    assert place.events() == ["complete", "success"]
    assert {row["due_at"] is not None for row in place.rows() if row["job_type"] == "b.tell"} == {True}


def test_an_empty_batch_is_over_when_it_is_closed(app: Celery, place: Place) -> None:
    with opened() as batch:
        pass
    place.settle()
    assert place.events() == ["complete", "success"]
    assert batch.progress().percent == 100.0


def test_what_was_cancelled_is_no_success(app: Celery, place: Place) -> None:
    with opened() as batch:
        first, second = batch.add(item), batch.add(item)
    place.end(first.id)
    with place.database.transaction() as transaction:
        jobs.cancel(transaction, [second.id], "by hand")
    place.settle()
    assert place.events() == ["complete"]
    assert batch.progress().cancelled == 1


def test_what_expires_and_what_is_cancelled_for_a_dependency_counts(app: Celery, place: Place) -> None:
    with opened() as batch:
        first = batch.add(item)
        batch.add(item.using(after=first))
        batch.add(item.using(after=first))
        late = batch.add(item.using(countdown=3600, expires=7200))
    place.end(first.id, status="FAILED")
    place.rows(f"update @jobs set due_at = now(), expires_at = now() where job_id = '{late.id}' returning 1")
    with place.database.transaction() as transaction:
        jobs.claim_due(transaction, datetime.now(UTC), 10, timedelta(seconds=6))
    place.settle()
    progress = batch.progress()
    assert (progress.failed, progress.cancelled, progress.state) == (1, 3, "finished")
    assert place.events() == ["complete", "exhausted", "failure"]


def test_a_replay_takes_the_batch_up_again_and_can_still_bring_the_success(app: Celery, place: Place) -> None:
    with opened() as batch:
        first, second = batch.add(item), batch.add(item)
    place.end(first.id)
    place.end(second.id, status="FAILED")
    place.settle()
    assert batch.retry_failed() == 1
    place.settle()
    progress = batch.progress()
    assert (progress.state, progress.failed, progress.waiting) == ("closed", 0, 1)
    place.end(second.id, attempt=2, status="FAILED")
    place.settle()
    assert place.events() == ["complete", "exhausted", "failure"], "each once"
    assert batch.retry_failed() == 1
    place.end(second.id, attempt=3)
    place.settle()
    assert place.events() == ["complete", "exhausted", "failure", "success"]
    with pytest.raises(BatchClosed):
        batch.add(item)


def test_a_failure_that_is_replayed_before_anybody_has_counted_is_called_back(app: Celery, place: Place) -> None:
    with opened() as batch:
        first = batch.add(item)
    place.end(first.id, status="FAILED")
    batch.retry_failed()
    place.settle()
    assert place.events() == ["failure"]


def test_a_block_that_raises_leaves_the_batch_open(app: Celery, place: Place) -> None:
    with pytest.raises(ZeroDivisionError), opened() as batch:
        first = batch.add(item)
        raise ZeroDivisionError
    place.end(first.id)
    place.settle()
    assert place.events() == []
    assert batch.progress().state is BatchState.OPEN


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: jobplatform.batch(""), "name: '' is none"),
        (lambda: jobplatform.batch("x", on_success=tell), "on_success: .* is no signature"),
        (lambda: jobplatform.batch("x", on_success=item.si() | item.si()), "is no signature"),
        (lambda: jobplatform.batch("x", on_failure=tell.s("{batch}").set(countdown=5)), "countdown: a callback is"),
        (lambda: jobplatform.batch("x", on_complete=tell.s(7)), r"args\[0\]"),
        (lambda: jobplatform.batch("x", on_complete=tell.s()), "missing"),
        (lambda: jobplatform.batch("x", on_complete=only.s()), "is unique"),
        (lambda: jobplatform.batch("x", on_complete=only.app.signature("t" * 101)), "a type has 1 to 100"),
    ],
)
def test_what_cannot_be_a_batch_is_refused(app: Celery, place: Place, make: Any, said: str) -> None:
    with pytest.raises((JobOptionError, InvalidPayload), match=said):
        make()
    with pytest.raises(JobOptionError, match="is no task"):
        opened().add(len, [])
    with pytest.raises(JobOptionError, match="batch: 7 is no batch"):
        item.using(batch=7).submit()
    assert place.rows("select * from @batches") == []


def test_callbacks_are_jobs_like_others(app: Celery, place: Place) -> None:
    @app.task(name="b.plain")
    def plain(text: str) -> None: ...

    done = tell.s("{batch}", text="{name}: {failed} of {total}").set(priority=4)
    with jobplatform.batch("import", on_complete=done, on_success=plain.s("{completed} done")) as batch:
        batch.add(plain, "x")
    (only,) = place.rows()
    assert str(only["batch_id"]) == batch.id
    place.end(only["id"])
    place.settle()
    found = {row["job_type"]: row for row in place.rows() if not row["batch_id"]}
    assert found["b.tell"]["payload"]["kwargs"] == {"text": "import: 0 of 1"}
    assert found["b.tell"]["priority"] == 4
    assert found["b.plain"]["payload"]["args"] == ["1 done"]


def test_a_thousand_failed_jobs_and_more_run_once_more(app: Celery, place: Place) -> None:
    with opened() as batch:
        ids = batch.add_many(item, range(2_345))
    place.end(*ids, status="FAILED")
    assert batch.retry_failed() == 2_345
    assert batch.retry_failed() == 0
    assert batch.progress().waiting == 2_345
