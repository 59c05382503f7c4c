"""Submissions that count once."""

from __future__ import annotations

import json
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery, chord
from celery.signals import before_task_publish
from command_line import CliEnvironment
from sqlalchemy.orm import Session

import jobplatform
from jobplatform import Unique, Workflow, job
from jobplatform.errors import IdempotencyConflict, JobOptionError, KeyTaken
from jobplatform.jobs.platform import Platform
from jobplatform.jobs.retry import decide_all
from jobplatform.journal import entry
from jobplatform.journal.mirror import Mirror
from jobplatform.maintenance.key_pruner import KeyPruner
from jobplatform.settings import Settings
from jobplatform.store.database import Database

NOWHERE = "postgresql://postgres@127.0.0.1:1/nothing"


@job(name="i.charge")
def charge(order: int, note: str = "") -> None: ...


@job(name="i.refund")
def refund(order: int, note: str = "") -> None: ...


@job(name="i.single", unique=Unique("single:{order}", mode="reject"))
def single(order: int) -> None: ...


def once() -> Any:
    """Give the job type with one key."""
    return charge.using(idempotency_key="order-7")


@pytest.fixture
def app(settings: Settings, database: Database, client: Any) -> Iterator[Celery]:
    made = Celery("idempotency", set_as_current=True)
    jobplatform.attach(made, settings)
    made.set_default()
    yield made
    made.jobplatform.close()
    made.close()


def rows(database: Database, table: str = "jobs") -> list[Mapping[str, Any]]:
    with database.session() as session:
        found = session.connection.exec_driver_sql(
            f'select *, job_id::text as id from "{database.schema}".{table} order by created_at'
        )
        return list(found.mappings())


def change(database: Database, sql: str) -> None:
    with database.transaction() as transaction:
        transaction.connection.exec_driver_sql(sql.replace("@", f'"{database.schema}".'))


def mirror(client: Any, database: Database) -> Counter[str]:
    """Mirror all of the journal."""
    made = Mirror(client, database, decide_all, lambda seconds: None, batch=100, block_seconds=0.01)
    counts: Counter[str] = Counter()
    while found := made.run_once(datetime.now(UTC)):
        counts.update(found)
    return counts


def without_postgresql(app: Celery) -> Platform:
    app.jobplatform = Platform(replace(app.jobplatform.settings, database_url=NOWHERE, connect_seconds=1.0))
    return app.jobplatform


def test_later_submissions_get_the_job_of_the_first(app: Celery, database: Database, client: Any) -> None:
    first = once().submit(7, note="a")
    assert once().submit(7, note="a").id == first.id
    change(database, "update @jobs set status = 'COMPLETED', completed_at = now()")
    assert once().submit(7, note="a").id == first.id, "also when it has ended"
    assert charge.using(idempotency_key="order-8").submit(8).id != first.id
    assert [row["status"] for row in rows(database)] == ["COMPLETED", "PENDING"]
    assert client.llen("celery") == 2
    assert {row["key"]: row["id"] for row in rows(database, "idempotency_keys")}["order-7"] == first.id


def test_of_fifty_at_once_there_is_one(app: Celery, database: Database, client: Any) -> None:
    begin, found = threading.Barrier(50), list[str]()

    def submit() -> None:
        begin.wait()
        found.append(once().submit(7).id)

    threads = [threading.Thread(target=submit) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    mirror(client, database)
    (row,) = rows(database)
    assert Counter(found) == {row["id"]: 50}
    assert client.llen("celery") == 1


@pytest.mark.parametrize("submit", [lambda: refund, lambda: charge])
def test_something_else_under_the_key_is_refused(app: Celery, database: Database, submit: Callable[[], Any]) -> None:
    first = once().submit(7)
    with pytest.raises(IdempotencyConflict, match=f"'order-7' was used for job {first.id}") as caught:
        submit().using(idempotency_key="order-7").submit(7, note="other" if submit() is charge else "")
    (key,) = rows(database, "idempotency_keys")
    assert caught.value.before == key["fingerprint"] != caught.value.now
    assert caught.value.before in str(caught.value)
    assert caught.value.now in str(caught.value)
    assert len(rows(database)) == 1


def test_the_order_in_which_arguments_are_named_does_not_count(app: Celery) -> None:
    assert once().submit(order=7, note="a").id == once().submit(note="a", order=7).id


def test_a_key_counts_for_as_long_as_it_says(app: Celery, database: Database) -> None:
    first = charge.using(idempotency_key="order-7", idempotency_retention=60).submit(7)
    (key,) = rows(database, "idempotency_keys")
    assert (key["expires_at"] - key["created_at"]).total_seconds() == pytest.approx(60)
    change(database, "update @idempotency_keys set expires_at = now() - interval '1 s'")
    second = once().submit(8)
    assert second.id != first.id
    (key,) = rows(database, "idempotency_keys")
    assert (key["expires_at"] - key["created_at"]).total_seconds() == pytest.approx(86_400)
    assert (key["id"], once().submit(8).id) == (second.id, second.id)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"idempotency_key": ""}, "idempotency_key: ''"),
        ({"idempotency_key": 7}, "idempotency_key: 7"),
        ({"idempotency_key": "x" * 201}, "1 to 200 characters"),
        ({"idempotency_key": "a\0b"}, "NUL"),
        ({"idempotency_key": "k", "idempotency_retention": 0}, "idempotency_retention: 0 is no time"),
        ({"idempotency_retention": 5}, "idempotency_retention: there is no key"),
    ],
)
def test_what_cannot_be_is_refused(app: Celery, database: Database, options: Any, said: str) -> None:
    with pytest.raises(JobOptionError, match=said):
        charge.using(**options).submit(7)
    assert rows(database) == []


def test_many_jobs_have_no_common_key(app: Celery, database: Database) -> None:
    with pytest.raises(JobOptionError, match="a key stands for one job"):
        charge.using(idempotency_key="k").submit_many([1, 2])
    assert rows(database) == []


def test_a_part_of_a_canvas_or_of_a_workflow_has_no_key(app: Celery, database: Database) -> None:
    part = charge.si(1).set(idempotency_key="k")
    with pytest.raises(JobOptionError, match="a part of a canvas"):
        chord([part, charge.si(2)])(charge.si(3))
    flow = Workflow()
    flow.add(charge.s(1).set(idempotency_key="k"))
    with pytest.raises(JobOptionError, match="another job may stand for it"):
        flow.submit()
    assert rows(database) == []


def test_the_key_is_part_of_the_callers_transaction(app: Celery, database: Database) -> None:
    inside = charge.using
    with Session(app.jobplatform.database.engine) as session:
        lost = inside(idempotency_key="order-7", session=session).submit(7)
        session.rollback()
    with Session(app.jobplatform.database.engine) as session:
        kept = inside(idempotency_key="order-7", session=session).submit(7)
        assert inside(idempotency_key="order-7", session=session).submit(7).id == kept.id
        session.commit()
    assert once().submit(7).id == kept.id != lost.id
    assert [row["id"] for row in rows(database)] == [kept.id]


def test_a_submission_waits_for_a_transaction_that_has_the_key(app: Celery, database: Database) -> None:
    found: list[str] = []
    with Session(app.jobplatform.database.engine) as session:
        kept = charge.using(idempotency_key="order-7", session=session).submit(7)
        thread = threading.Thread(target=lambda: found.append(once().submit(7).id))
        thread.start()
        session.commit()
        thread.join()
    assert found == [kept.id]


def test_a_client_that_dies_before_it_publishes_leaves_nothing_that_blocks(
    app: Celery, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(app.jobplatform.publisher, "push", die)
    with pytest.raises(KeyboardInterrupt):
        once().submit(7)
    monkeypatch.undo()
    (row,) = rows(database)
    assert row["status"] == "PENDING", "the finder of orphans publishes it"
    assert once().submit(7).id == row["id"]


def test_while_postgresql_is_away_the_mirror_settles_who_was_first(
    app: Celery, database: Database, client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    away = without_postgresql(app)
    ids = [once().submit(7).id for _ in range(3)]
    other = charge.using(idempotency_key="order-7").submit(8)
    assert client.llen("celery") == 0, "whether there is a row is not known yet"
    journal = client.xrange("jp:journal")
    with caplog.at_level(logging.WARNING, "jobplatform.journal.mirror"):
        counts = mirror(client, database)
    (row,) = rows(database)
    assert row["id"] == ids[0]
    assert row["due_at"] is not None
    assert (counts["submitted"], counts["duplicates"], counts["taken"]) == (1, 2, 1)
    assert f"job {ids[1]} is not made: job {ids[0]} has its key" in caplog.text
    assert f"job {other.id} is not made: idempotency_key: 'order-7' was used" in caplog.text
    for _, fields in journal:
        client.xadd("jp:journal", fields)
    assert mirror(client, database)["known"] == 1, "a journal that is read twice"
    assert [row["id"] for row in rows(database)] == [ids[0]]
    away.close()


def test_a_second_copy_is_no_news_of_an_unknown_job(app: Celery, database: Database, client: Any) -> None:
    away = without_postgresql(app)
    first, second = (once().submit(7).id for _ in range(2))
    nobody = entry.attempt_head("018f0000-0000-7000-8000-000000000001", 1, "w1@here", 1, None, "")
    client.xadd("jp:journal", {"e1": entry.started(nobody, 1_767_225_600.0)})
    assert mirror(client, database)["early"] == 1, "only that of the attempt waits for its row"
    assert [row["id"] for row in rows(database)] == [first] != [second]
    away.close()


def test_a_key_of_the_journal_counts_from_its_submission(app: Celery, database: Database, client: Any) -> None:
    away = without_postgresql(app)
    late = once().submit(7)
    away.close()
    app.jobplatform = Platform(replace(app.jobplatform.settings, database_url=database_url_of(database)))
    first = once().submit(7)
    assert mirror(client, database)["duplicates"] == 1
    assert [row["id"] for row in rows(database)] == [first.id] != [late.id]
    app.jobplatform.close()


@pytest.mark.parametrize("options", [{"idempotency_key": "k"}, {"unique": Unique("k")}])
def test_a_transaction_that_has_the_key_keeps_nothing_else_from_the_tables(
    app: Celery, database: Database, client: Any, options: Any
) -> None:
    with Session(database.engine) as session:
        first = charge.using(session=session, **options).submit(7)
        away = without_postgresql(app)
        late, other = charge.using(**options).submit(7), charge.submit(8)
        made = Mirror(client, database, decide_all, lambda seconds: None, batch=100, block_seconds=0.01)
        assert made.run_once(datetime.now(UTC))["put_off"] == 1
        assert [row["id"] for row in rows(database)] == [other.id]
        assert made.run_once(datetime.now(UTC))["put_off"] == 1
        session.commit()
    assert mirror(client, database)["duplicates"] == 1
    assert {row["id"] for row in rows(database)} == {first.id, other.id}
    assert late.id not in {first.id, other.id}
    away.close()


def database_url_of(database: Database) -> str:
    return database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)


def test_a_running_job_that_begins_again_gets_the_same_id(
    app: Celery, database: Database, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = SimpleNamespace(request=SimpleNamespace(id="018f0000-0000-7000-8000-000000000001", root_id=None))
    monkeypatch.setattr("jobplatform.jobs.task.get_current_worker_task", lambda: parent)
    app.jobplatform.in_worker = True
    first = once().submit(7)
    mirror(client, database)
    assert once().submit(7).id == first.id
    assert mirror(client, database)["known"] == 1
    assert [row["id"] for row in rows(database)] == [first.id]


def test_what_goes_by_celerys_own_publishing_counts_once_as_well(app: Celery, database: Database, client: Any) -> None:
    heard: list[str] = []

    def hear(headers: Any = None, **_: Any) -> None:
        heard.append(headers["id"])

    first = jobplatform.submit("i.unknown", [7], idempotency_key="order-7")
    assert jobplatform.submit("i.unknown", [7], idempotency_key="order-7").id == first.id
    with pytest.raises(IdempotencyConflict):
        jobplatform.submit("i.unknown", [8], idempotency_key="order-7")
    linked = charge.using(idempotency_key="order-8")
    before_task_publish.connect(hear)
    try:
        second = linked.submit(8)
        assert linked.submit(8).id == second.id
    finally:
        before_task_publish.disconnect(hear)
    assert heard == [second.id]
    assert [row["id"] for row in rows(database)] == [first.id, second.id]
    assert client.llen("celery") == 2


def test_pickled_arguments_are_told_apart(app: Celery, database: Database) -> None:
    app.conf.accept_content = ["json", "pickle"]
    first = charge.apply_async((7,), serializer="pickle", idempotency_key="k")
    assert charge.apply_async((7,), serializer="pickle", idempotency_key="k").id == first.id
    with pytest.raises(IdempotencyConflict):
        charge.apply_async((8,), serializer="pickle", idempotency_key="k")


def test_a_unique_job_that_is_there_stands_for_the_key(app: Celery, database: Database, client: Any) -> None:
    first = charge.using(unique=Unique("u")).submit(7)
    second = charge.using(unique=Unique("u"), idempotency_key="k").submit(7)
    assert second.id == first.id
    change(database, "update @jobs set status = 'COMPLETED', completed_at = now()")
    assert charge.using(unique=Unique("u"), idempotency_key="k").submit(7).id == first.id
    assert charge.using(unique=Unique("u")).submit(7).id != first.id


def test_a_key_is_free_again_when_the_unique_job_was_refused(app: Celery, database: Database, client: Any) -> None:
    single.submit(7)
    with pytest.raises(KeyTaken):
        single.using(idempotency_key="k").submit(7)
    assert rows(database, "idempotency_keys") == []
    away = without_postgresql(app)
    single.using(idempotency_key="k").submit(7)
    assert mirror(client, database)["taken"] == 1
    assert rows(database, "idempotency_keys") == []
    away.close()


def test_keys_are_pruned_in_batches_when_nothing_can_ask_for_them(app: Celery, database: Database) -> None:
    for number in range(5):
        charge.using(idempotency_key=f"k{number}").submit(number)
    now = datetime.now(UTC)
    pruner = KeyPruner(database, batch=2)
    assert not pruner.run_once(now)
    assert not pruner.run_once(now + timedelta(days=1, minutes=30)), "the journal may hold what asks for them"
    late = now + timedelta(days=1, hours=2)
    assert [pruner.run_once(late)["pruned"] for _ in range(4)] == [2, 2, 1, 0]
    assert rows(database, "idempotency_keys") == []
    assert len(rows(database)) == 5


def test_the_command_line_submits_once(cli_environment: CliEnvironment, database: Database, tmp_path: Path) -> None:
    def submit(number: int, *more: str) -> Any:
        payload = json.dumps({"order": number})
        asked = ("submit", "i.cli", payload, "--idempotency-key", "order-7", *more)
        return cli_environment.spawn(tmp_path, "jobplatform", *asked)

    first, second = submit(7, "--json"), submit(7, "--idempotency-retention", "2h", "--json")
    assert json.loads(first.stdout) == json.loads(second.stdout)
    refused = submit(8)
    assert refused.returncode == 4
    assert "idempotency_key: 'order-7' was used" in refused.stderr
    assert len(rows(database)) == 1
