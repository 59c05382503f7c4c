"""Jobs of which there is one at a time."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from celery import Celery, chain
from celery.signals import before_task_publish
from sqlalchemy.orm import Session

import jobplatform
from jobplatform import Unique, job
from jobplatform.errors import JobOptionError, KeyTaken
from jobplatform.jobs.platform import Platform
from jobplatform.jobs.retry import decide_all
from jobplatform.journal.mirror import Mirror
from jobplatform.records import NewJob, new_job_id
from jobplatform.settings import Settings
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
        wishes = {"unique_key": key, "unique_scope": scope, "unique_mode": mode, **values}
        job = NewJob(new_job_id(), "t.job", payload, "celery", **wishes)
        with self.database.transaction() as transaction:
            return uniqueness.submit(transaction, job)

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
    assert [each.job_id for each in found if isinstance(each, Submitted) and each.made] == [row["id"]]
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


@job(name="u.charge", unique=Unique("charge:{order}"))
def charge(order: int, note: str = "") -> None: ...


@job(name="u.plain")
def plain(order: int) -> None: ...


@pytest.fixture
def app(settings: Settings, database: Database, client: Any) -> Iterator[Celery]:
    made = Celery("unique", set_as_current=True)
    jobplatform.attach(made, settings)
    made.set_default()
    yield made
    made.jobplatform.close()
    made.close()


def test_a_job_type_names_its_key_by_its_arguments(app: Celery, place: Place, client: Any) -> None:
    first = charge.submit(7, note="a")
    assert charge.submit(order=7, note="b").id == first.id
    assert charge.submit(8).id != first.id
    assert sorted(row["unique_key"] for row in place.rows()) == ["charge:7", "charge:8"]
    assert client.llen("celery") == 2, "what is there already is not pushed again"


def test_all_arguments_are_the_key_if_none_is_given(app: Celery, place: Place) -> None:
    once = plain.using(unique=Unique())
    first = once.submit(1)
    assert once.submit(1).id == first.id
    assert once.submit(2).id != first.id
    assert len(place.rows()) == 2


@pytest.mark.parametrize(
    ("unique", "said"),
    [
        (lambda: Unique(scope="ever"), "scope: 'ever'"),
        (lambda: Unique(mode="maybe"), "mode: 'maybe'"),
        (lambda: Unique(scope="period"), "period: give seconds"),
        (lambda: Unique(period=5.0), "period: give seconds"),
        (lambda: Unique(mode="keep_last"), "give the scope 'waiting'"),
        (lambda: plain.using(unique=Unique("{nothing}")).submit(1), "names 'nothing'"),
        (lambda: plain.using(unique=Unique("x" * 201)).submit(1), "it has 201 characters"),
        (lambda: plain.using(unique=Unique(mode="debounce")).submit(1), "give a countdown"),
    ],
)
def test_what_cannot_be_is_refused(app: Celery, place: Place, unique: Callable[[], Any], said: str) -> None:
    with pytest.raises(JobOptionError, match=said):
        unique()
    assert place.rows() == []


def test_a_submission_that_is_rolled_back_leaves_no_lock(app: Celery, place: Place) -> None:
    with Session(app.jobplatform.database.engine) as session:
        charge.using(session=session).submit(7)
        session.rollback()
    assert charge.submit(7).id == place.rows()[0]["id"]


def test_a_client_that_dies_before_it_publishes_leaves_a_job_and_no_lock_beside_it(
    app: Celery, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(app.jobplatform.publisher, "push", die)
    with pytest.raises(KeyboardInterrupt):
        charge.submit(7)
    monkeypatch.undo()
    (row,) = place.rows()
    assert charge.submit(7).id == row["id"]
    place.become(row["id"], "COMPLETED")
    assert charge.submit(7).id != row["id"]


def test_what_comes_through_the_journal_is_one_as_well(app: Celery, place: Place, client: Any) -> None:
    nowhere = "postgresql://postgres@127.0.0.1:1/nothing"
    app.jobplatform = Platform(replace(app.jobplatform.settings, database_url=nowhere, connect_seconds=1.0))
    for _ in range(3):
        charge.submit(7)
    assert client.llen("celery") == 0, "whether there is a row is not known yet"
    mirror = Mirror(client, place.database, decide_all, lambda seconds: None, batch=100, block_seconds=0.01)
    while mirror.run_once(datetime.now(UTC)):
        pass
    (row,) = place.rows()
    assert row["status"] == "PENDING"
    assert row["due_at"] is not None


@pytest.fixture
def watched() -> Iterator[None]:
    """Let somebody listen to Celery's signal, so that submissions take Celery's own way."""

    def heard(**_: Any) -> None: ...

    before_task_publish.connect(heard, weak=False)
    yield
    before_task_publish.disconnect(heard)


@pytest.mark.usefixtures("watched")
def test_celerys_own_publishing_holds_jobs_to_their_keys(app: Celery, place: Place, client: Any) -> None:
    first = charge.submit(7)
    assert charge.delay(order=7).id == first.id
    assert charge.apply_async((7,), headers={"trace": "1"}).id == first.id
    assert plain.using(unique=Unique("charge:{order}")).submit(7).id == first.id
    assert charge.submit(8).id != first.id
    assert sorted(row["unique_key"] for row in place.rows()) == ["charge:7", "charge:8"]
    assert client.llen("celery") == 2


def test_a_part_of_a_canvas_is_not_held_to_its_key(app: Celery, place: Place, client: Any) -> None:
    first = charge.submit(7)
    linked = chain(charge.si(7), charge.si(7)).apply_async()
    assert linked.parent.id != first.id
    assert sorted(row["unique_key"] or "" for row in place.rows()) == ["", "charge:7"]
    assert client.llen("celery") == 2


def test_many_jobs_at_once_have_no_key(app: Celery, place: Place) -> None:
    with pytest.raises(JobOptionError, match=r"u\.charge: it has a unique key"):
        charge.submit_many([(7,), (8,)])
    assert place.rows() == []
