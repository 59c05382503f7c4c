"""Batches: counted exactly, called back once, and open until somebody says otherwise."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest
from celery import Celery
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session

import jobplatform
from jobplatform import Workflow, find_batch, job
from jobplatform.errors import BatchClosed, BatchNotFound, InvalidPayload, JobOptionError, StoreUnavailable
from jobplatform.jobs import admission, membership
from jobplatform.jobs.batch import Batch
from jobplatform.jobs.platform import Platform
from jobplatform.jobs.retry import decide
from jobplatform.journal.mirror import Mirror
from jobplatform.maintenance.tallier import Tallier
from jobplatform.records import NewJob, new_job_id, new_job_ids, rows_like
from jobplatform.settings import Settings
from jobplatform.store import batches, dependencies, jobs, new_jobs
from jobplatform.store.database import Database
from jobplatform.tally import BatchState

DEAD_DATABASE = "postgresql://postgres@127.0.0.1:1/nothing"


@job(name="b.item")
def item(number: int = 0) -> None: ...


@job(name="b.tell")
def tell(batch: dict[str, Any], text: str = "") -> None: ...


@pytest.fixture
def app(settings: Settings, database: Database, client: Any) -> Iterator[Celery]:
    made = Celery("batches", set_as_current=True)
    jobplatform.attach(made, settings)
    made.set_default()
    yield made
    made.jobplatform.close()
    made.close()


class Place:
    """What the mirror and the controller do to the rows of jobs in batches."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.tallier = Tallier(database)

    def rows(self, sql: str = "select job_id::text as id, * from @jobs order by created_at, job_id") -> list[Any]:
        with self.database.session() as session:
            found = session.connection.exec_driver_sql(sql.replace("@", f'"{self.database.schema}".'))
            return list(found.mappings())

    def end(self, *job_ids: str, status: str = "COMPLETED", attempt: int = 1) -> None:
        rows = [{"job_id": job_id, "status": status, "attempt": attempt, "rank": 4} for job_id in job_ids]
        with self.database.transaction() as transaction:
            jobs.apply_transitions(transaction, rows)
            dependencies.settle(transaction, job_ids)

    def settle(self) -> Counter[str]:
        """Let the controller look until there is nothing to do."""
        total: Counter[str] = Counter()
        while counts := self.tallier.run_once(datetime.now(UTC)):
            total += counts
        return total

    def calls(self) -> list[Mapping[str, Any]]:
        """List the jobs that called back, by what they were called with."""
        return sorted(
            (row["payload"]["args"][0] for row in self.rows() if row["job_type"] == "b.tell"),
            key=lambda value: str(value["event"]),
        )

    def events(self) -> list[str]:
        return [call["event"] for call in self.calls()]


@pytest.fixture
def place(database: Database) -> Place:
    return Place(database)


def opened(name: str = "import") -> Any:
    calls = {f"on_{event}": tell.s("{batch}") for event in ("failure", "success", "complete", "exhausted")}
    return jobplatform.batch(name, **calls)


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
        self.mirror = Mirror(client, database, decide, lambda seconds: None, batch=100, block_seconds=0.01)

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


def test_a_thousand_failed_jobs_and_more_run_once_more(app: Celery, place: Place) -> None:
    with opened() as batch:
        ids = batch.add_many(item, range(2_345))
    place.end(*ids, status="FAILED")
    assert batch.retry_failed() == 2_345
    assert batch.retry_failed() == 0
    assert batch.progress().waiting == 2_345


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


@hypothesis_settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 7), st.integers(0, 1)), max_size=60))
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
