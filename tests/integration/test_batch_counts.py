"""The counts of batches are those of the rows of their jobs, whatever happens to these."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest
from batch_place import Place, item, opened
from celery import Celery
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import jobplatform
from jobplatform.errors import BatchClosed
from jobplatform.maintenance.tallier import Tallier
from jobplatform.records import NewJob, new_job_id, new_job_ids, rows_like
from jobplatform.settings import Settings
from jobplatform.store import batches, jobs, new_jobs
from jobplatform.store.database import Database
from jobplatform.tally import BatchState


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


@pytest.mark.owner
def test_progress_of_a_hundred_thousand_is_one_cheap_query(app: Celery, place: Place) -> None:
    """It reads the batch, the changes that are not added up yet, and the jobs that run: never all jobs."""
    batch = opened().open()
    with place.database.transaction() as transaction:
        ids = new_job_ids(time.time(), 5_000)
        like = NewJob("", "b.item", "{}", "celery", batch_id=batch.id)
        new_jobs.insert(transaction, rows_like(like, [(job_id, '{"args":[],"kwargs":{}}') for job_id in ids]))
    place.settle()
    with place.database.session() as session:
        session.connection.exec_driver_sql(f'vacuum analyze "{place.database.schema}".jobs')
        session.connection.exec_driver_sql(f'vacuum "{place.database.schema}".batch_changes')
        sql = batches.READ_PROGRESS.text(place.database.schema)
        plan = session.connection.exec_driver_sql(
            f"explain (analyze, format json) {sql}", {"batch_id": batch.id}
        ).scalar()
    nodes = _nodes(plan[0]["Plan"])
    assert max(node["Actual Rows"] + node.get("Rows Removed by Filter", 0) for node in nodes) < 10, nodes
    assert batch.progress().waiting == 5_000


def _nodes(node: dict[str, Any]) -> list[dict[str, Any]]:
    return [node, *(deeper for part in node.get("Plans", []) for deeper in _nodes(part))]


def test_jobs_that_say_they_are_of_a_batch_that_is_not_there_are_told_of(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    stray = new_job_id()
    with place.database.transaction() as transaction:
        new_jobs.insert_one(transaction, NewJob(new_job_id(), "b.item", "{}", "celery", batch_id=stray))
    assert place.settle() == {"tallied": 1}
    assert f"batch {stray}: there is none" in caplog.text


def test_jobs_of_no_batch_note_nothing(place: Place) -> None:
    with place.database.transaction() as transaction:
        new_jobs.insert_one(transaction, NewJob(job_id := new_job_id(), "b.item", "{}", "celery"))
    place.end(job_id)
    assert place.rows("select * from @batch_changes") == []
    assert place.settle() == {}


ACTIONS = ("add", "complete", "fail", "cancel", "replay", "doubled", "resurrect", "look", "block", "close")


@hypothesis_settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 7), st.integers(0, 1)), max_size=40))
def test_the_counts_are_those_of_the_rows_whatever_happens(
    app: Celery, place: Place, steps: list[tuple[str, int, int]]
) -> None:
    """Ends in any order, told twice, taken back and told again, in two batches: the model is a recount of the rows."""
    made = [opened().open(), opened().open()]
    seen: dict[str, set[str]] = {batch.id: set() for batch in made}
    ids: list[str] = []
    for action, number, which in [("add", 0, 0), ("add", 0, 1), *steps]:
        _do(place, made[which], action, ids, number)
        for batch in made:
            seen[batch.id] |= _come(_model(place, batch))
    for batch in made:
        batch.close()
        seen[batch.id] |= _come(_model(place, batch))
    place.settle()
    for batch in made:
        _agrees(place, batch, seen[batch.id])


class Model(NamedTuple):
    """A batch as the rows of its jobs say it."""

    states: Counter[str]
    closed: bool


def _model(place: Place, batch: Any) -> Model:
    (row,) = place.rows(f"select closed_at from @batches where batch_id = '{batch.id}'")
    found = place.rows(f"select status from @jobs where batch_id = '{batch.id}'")
    return Model(Counter(row["status"] for row in found), row["closed_at"] is not None)


def _come(model: Model) -> set[str]:
    """Tell which events the rows show; one that they show for a moment alone may pass unseen, but for a failure."""
    states = model.states
    over = model.closed and states["COMPLETED"] + states["FAILED"] + states["CANCELLED"] == states.total()
    come = {
        "failure": states["FAILED"] > 0,
        "complete": over,
        "success": over and states["COMPLETED"] == states.total(),
        "exhausted": over and states["FAILED"] > 0,
    }
    return {event for event, has_come in come.items() if has_come}


def _do(place: Place, batch: Any, action: str, ids: list[str], number: int) -> None:
    if action in ("add", "block"):
        with suppress(BatchClosed):
            ids.append(batch.add(item.using(after=ids[number % len(ids)]) if action == "block" else item).id)
        return
    if action == "look":
        place.tallier.run_once(datetime.now(UTC))
        return
    if action == "close":
        batch.close()
        return
    _change(place, action, ids[number % len(ids)])


def _change(place: Place, action: str, job_id: str) -> None:
    (row,) = place.rows(f"select attempt from @jobs where job_id = '{job_id}'")
    ends = {"complete": ["COMPLETED"], "fail": ["FAILED"], "doubled": ["FAILED", "COMPLETED", "FAILED"]}
    for status in ends.get(action, []):
        place.end(job_id, status=status, attempt=row["attempt"])
    with place.database.transaction() as transaction:
        if action == "resurrect":
            news = {"job_id": job_id, "status": "PROCESSING", "attempt": row["attempt"] + 1, "rank": 2}
            jobs.apply_transitions(transaction, [news])
        elif action == "cancel":
            jobs.cancel(transaction, [job_id], "by hand")
        elif action == "replay":
            jobs.replay(transaction, [job_id])


def _agrees(place: Place, batch: Any, seen: set[str]) -> None:
    states = _model(place, batch).states
    progress = batch.progress()
    assert (progress.total, progress.completed) == (states.total(), states["COMPLETED"])
    assert (progress.failed, progress.cancelled) == (states["FAILED"], states["CANCELLED"])
    assert progress.running == states["PROCESSING"]
    (row,) = place.rows(f"select * from @batches where batch_id = '{batch.id}'")
    counts = {name: row[name] for name in ("total", "completed", "failed", "cancelled")}
    assert counts == {name: getattr(progress, name) for name in counts}, "all changes are added up"
    events = [call["event"] for call in place.calls() if call["batch_id"] == batch.id]
    assert len(events) == len(set(events))
    assert _come(_model(place, batch)) | (seen & {"failure"}) <= set(events) <= seen


def test_counting_while_others_end_jobs_loses_nothing(app: Celery, place: Place) -> None:
    """Mirrors that are told everything twice, two who add up, and who cancels: the counts are those of the rows."""
    with opened() as batch:
        ids = batch.add_many(item, range(2_000))
    stop = threading.Event()

    def end(seed: int) -> None:
        order = random.Random(seed % 2).sample(ids, len(ids))
        for start in range(0, len(order), 50):
            chunk = sorted(order[start : start + 50])
            place.end(*chunk, status="FAILED" if seed == 3 else "COMPLETED")

    def cancel() -> None:
        for start in range(0, 200, 20):
            with place.database.transaction() as transaction:
                jobs.cancel(transaction, sorted(ids)[start : start + 20], "by hand")

    def count() -> None:
        tallier = Tallier(place.database)
        while not stop.is_set():
            tallier.run_once(datetime.now(UTC))

    ending = [threading.Thread(target=end, args=(seed,)) for seed in range(4)] + [threading.Thread(target=cancel)]
    counting = [threading.Thread(target=count) for _ in range(2)]
    for thread in [*ending, *counting]:
        thread.start()
    for thread in ending:
        thread.join()
    stop.set()
    for thread in counting:
        thread.join()
    place.settle()
    _agrees(place, batch, _come(_model(place, batch)))
    assert batch.progress().state is BatchState.FINISHED
