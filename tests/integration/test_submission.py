"""Submitting: the row first, then the message; and whatever goes wrong in between."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery import Celery
from pydantic import BaseModel
from sqlalchemy.orm import Session

import jobplatform
from jobplatform import RetryRule, job
from jobplatform.devstack.stack import DevStack
from jobplatform.errors import (
    InvalidPayload,
    JobOptionError,
    JobPlatformError,
    StoreUnavailable,
    UnknownJobType,
    UnknownQueue,
)
from jobplatform.jobs import task
from jobplatform.jobs.effects import effect
from jobplatform.jobs.platform import Platform
from jobplatform.jobs.retry import decide_all
from jobplatform.journal.mirror import Mirror
from jobplatform.maintenance.dispatcher import Dispatcher
from jobplatform.records import job_id_of, new_job_id
from jobplatform.settings import Settings
from jobplatform.store.database import Database
from jobplatform.transport import keys
from jobplatform.transport.publisher import Publisher

DEAD_DATABASE = "postgresql://postgres@127.0.0.1:1/nothing"
DEAD_REDIS = "redis://127.0.0.1:1/0"


class Order(BaseModel):
    number: int
    note: str = ""


@job(name="s.add", priority=2, max_retries=3, tags=("sums",), retry=RetryRule(base=1.0))
def add(x: int, y: int = 0) -> int:
    return x + y


@job(name="s.order", payload=Order)
def order(value: Order) -> None: ...


@job(name="s.urgent", queue="urgent", priority=5)
def urgent() -> None: ...


@pytest.fixture
def app(settings: Settings, database: Database, client: Any) -> Iterator[Celery]:
    made = Celery("submission", set_as_current=True)
    jobplatform.attach(made, settings)
    made.set_default()
    yield made
    made.jobplatform.close()
    made.close()


def lost(app: Celery, **urls: str) -> None:
    """Let the application look for its stores where there are none."""
    app.jobplatform = Platform(replace(app.jobplatform.settings, **urls))


def rows(database: Database) -> list[Any]:
    with database.session() as session:
        return list(session.connection.exec_driver_sql(
            f'select job_id::text as id, * from "{database.schema}".jobs order by created_at, job_id'
        ).mappings())  # fmt: skip


def messages(client: Any, queue: str = "celery") -> list[dict[str, Any]]:
    lists = [keys.queue_list(queue, step) for step in keys.PRIORITY_STEPS]
    return [json.loads(raw) for name in lists for raw in client.lrange(name, 0, -1)]


def dispatch(database: Database, stack: DevStack, now: datetime | None = None) -> int:
    publisher = Publisher(stack.redis_url, 5.0)
    counts = Dispatcher(database, publisher, 100, 0.1).run_once(now or datetime.now(UTC))
    publisher.close()
    return counts["published"]


def mirror(database: Database, client: Any) -> None:
    made = Mirror(client, database, decide_all, lambda seconds: None, batch=100, block_seconds=0.01)
    while made.run_once(datetime.now(UTC)):
        pass


def test_a_submission_is_a_row_and_a_message_of_one_id(app: Celery, database: Database, client: Any) -> None:
    result = add.submit(1, y=2)
    (row,) = rows(database)
    (sent,) = messages(client)
    assert row["id"] == result.id == sent["headers"]["id"]
    assert (row["status"], row["priority"], row["max_retries"], row["tags"]) == ("PENDING", 2, 3, ["sums"])
    assert row["payload"] == {"args": [1], "kwargs": {"y": 2}}
    assert row["retry_rule"] == {"base": 1.0}
    assert row["enqueued_at"] is not None
    assert row["due_at"] is None
    assert sent["properties"]["priority"] == 2
    assert result.status == "PENDING"


@pytest.mark.parametrize(
    ("args", "kwargs", "field"),
    [
        (("1",), {}, "args[0]"),
        ((1,), {"z": 1}, "kwargs.z"),
        ((1,), {"y": float("nan")}, "kwargs.y"),
        ((), {}, "x"),
        ((1, 2, 3), {}, "args"),
    ],
)
def test_a_bad_payload_is_refused_by_its_field_and_nothing_is_written(
    app: Celery, database: Database, client: Any, args: Any, kwargs: Any, field: str
) -> None:
    with pytest.raises(InvalidPayload) as refused:
        add.submit(*args, **kwargs)
    assert field in refused.value.field
    with pytest.raises(InvalidPayload):
        add.submit_many([(1, 2), kwargs or args])
    assert rows(database) == []
    assert messages(client) == []


def test_a_payload_model_is_checked_at_submit(app: Celery, database: Database) -> None:
    order.submit(number=3)
    with pytest.raises(InvalidPayload) as refused:
        order.submit(number="three")
    assert refused.value.field == "kwargs.number"
    assert len(rows(database)) == 1


def test_unknown_queues_options_and_types_are_refused_with_a_hint(app: Celery, database: Database) -> None:
    with pytest.raises(UnknownQueue, match="did you mean 'urgent'"):
        add.using(queue="urgnet").submit(1)
    with pytest.raises(JobOptionError, match="did you mean 'priority'"):
        add.using(prioritty=1)
    with pytest.raises(JobOptionError, match="1 to 5"):
        add.using(priority=6).submit(1)
    with pytest.raises(UnknownJobType, match="JOBPLATFORM_IMPORTS"):
        jobplatform.submit("s.nothing", app=app, check_known=True)
    with pytest.raises(JobOptionError, match="did you mean 'max_retries'"):
        job(max_retry=1)(lambda: None)
    assert rows(database) == []


def test_a_job_type_without_code_is_submitted_by_name(app: Celery, database: Database, client: Any) -> None:
    result = jobplatform.submit("elsewhere.task", [1], {"a": 2}, app=app, priority=4, tags=("far",))
    (row,) = rows(database)
    assert (row["id"], row["job_type"], row["priority"], row["tags"]) == (result.id, "elsewhere.task", 4, ["far"])
    (sent,) = messages(client)
    assert sent["headers"]["jp_attempt"] == 1


def test_a_plain_celery_task_gets_a_row_and_keeps_celerys_meaning(app: Celery, database: Database, client: Any) -> None:
    @app.task(name="s.plain")
    def plain(x: Any) -> None: ...

    plain.delay(datetime(2027, 1, 1, tzinfo=UTC))
    (row,) = rows(database)
    assert (row["job_type"], row["retry_rule"]) == ("s.plain", {"automatic": False})
    assert len(messages(client)) == 1
    with pytest.raises(InvalidPayload):
        plain.delay("\x00")


def test_submit_many_is_one_transaction_in_order(app: Celery, database: Database, client: Any) -> None:
    ids = add.submit_many(((n,) for n in range(2_500)), priority=3)
    assert len(set(ids)) == 2_500
    assert [row["id"] for row in rows(database)] == sorted(ids) == ids
    sent = list(reversed(messages(client)))
    assert [body["headers"]["id"] for body in sent] == ids
    assert json.loads(sent[7]["body"])[0] == [7]


def test_a_time_in_the_future_is_a_scheduled_row_and_no_message(
    app: Celery, database: Database, client: Any, stack: DevStack
) -> None:
    add.apply_async((1,), countdown=60)
    add.apply_async((2,), eta=datetime.now(UTC) + timedelta(seconds=60))
    assert {row["status"] for row in rows(database)} == {"SCHEDULED"}
    assert messages(client) == []
    assert dispatch(database, stack) == 0
    assert dispatch(database, stack, datetime.now(UTC) + timedelta(seconds=61)) == 2
    assert {row["status"] for row in rows(database)} == {"PENDING"}
    assert len(messages(client)) == 2
    assert dispatch(database, stack, datetime.now(UTC) + timedelta(seconds=62)) == 0


def test_what_expired_before_it_was_due_is_cancelled(
    app: Celery, database: Database, client: Any, stack: DevStack
) -> None:
    add.apply_async((1,), countdown=60, expires=30)
    assert dispatch(database, stack, datetime.now(UTC) + timedelta(seconds=61)) == 0
    (row,) = rows(database)
    assert (row["status"], row["error_type"]) == ("CANCELLED", "Expired")
    assert messages(client) == []


def test_a_job_in_a_session_exists_only_if_it_commits(app: Celery, database: Database, client: Any) -> None:
    with Session(database.engine) as session:
        add.using(session=session).submit(1)
        assert rows(database) == []
        assert messages(client) == []
        session.rollback()
        session.commit()
    assert messages(client) == []
    with Session(database.engine) as session, session.begin():
        add.using(session=session).submit(2)
        jobplatform.submit("elsewhere.task", [3], app=app, session=session)
    assert len(rows(database)) == len(messages(client)) == 2


def test_a_job_in_an_effect_is_published_when_the_session_commits(app: Celery, database: Database, client: Any) -> None:
    job_id = new_job_id()
    for attempt in (1, 2):
        with Session(database.engine) as session, session.begin():
            with effect(app.jobplatform, job_id, attempt, "follow-up", session) as first:
                if first:
                    add.using(session=session).submit(1)
            assert len(messages(client)) == attempt - 1
        assert len(rows(database)) == len(messages(client)) == 1


def test_many_jobs_in_a_session_exist_only_if_it_commits(app: Celery, database: Database, client: Any) -> None:
    with Session(database.engine) as session:
        add.using(session=session).submit_many([(1,), (2,)])
        session.rollback()
    assert rows(database) == messages(client) == []
    with Session(database.engine) as session, session.begin():
        ids = add.using(session=session).submit_many([(1,), (2,)])
        assert messages(client) == []
    assert {row["id"] for row in rows(database)} == {body["headers"]["id"] for body in messages(client)} == set(ids)


def test_a_task_id_that_is_no_uuid_keeps_its_name(app: Celery, database: Database, client: Any) -> None:
    result = add.apply_async((1,), task_id="order-7")
    (row,) = rows(database)
    (sent,) = messages(client)
    assert result.id == sent["headers"]["id"] == "order-7"
    assert row["id"] == job_id_of("order-7")
    assert row["message"]["task_id"] == "order-7"
    with pytest.raises(JobOptionError, match="task_id"):
        add.submit_many([(1,)], task_id="order-8")


def test_a_job_on_a_connection_is_published_by_the_dispatcher(
    app: Celery, database: Database, client: Any, stack: DevStack
) -> None:
    with database.engine.begin() as connection:
        add.using(connection=connection).submit(1)
    assert messages(client) == []
    assert dispatch(database, stack) == 1
    assert len(messages(client)) == 1


def test_without_redis_the_row_is_due_and_the_dispatcher_publishes_it(
    app: Celery, database: Database, client: Any, stack: DevStack
) -> None:
    lost(app, redis_url=DEAD_REDIS)
    add.submit(1)
    add.submit_many([(2,), (3,)])
    assert all(row["due_at"] is not None for row in rows(database))
    assert dispatch(database, stack) == 3
    assert len(messages(client)) == 3


def test_without_postgresql_the_journal_takes_the_row_together_with_the_message(
    app: Celery, database: Database, client: Any
) -> None:
    lost(app, database_url=DEAD_DATABASE)
    ids = [add.submit(1).id, *add.submit_many([(2,), (3,)])]
    scheduled = add.apply_async((4,), countdown=60).id
    assert {body["headers"]["id"] for body in messages(client)} == set(ids)
    assert rows(database) == []
    mirror(database, client)
    assert {row["id"] for row in rows(database)} == {*ids, scheduled}
    assert [row["status"] for row in rows(database)].count("SCHEDULED") == 1


def test_without_postgresql_a_bad_item_late_in_many_is_refused_before_anything_is_written(
    app: Celery, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task, "CHUNK", 1)
    lost(app, database_url=DEAD_DATABASE)
    with pytest.raises(InvalidPayload):
        add.submit_many([(1,), ("two",)])
    assert (messages(client), client.xlen(keys.JOURNAL)) == ([], 0)


def test_without_either_store_the_client_gets_a_clear_error(app: Celery, database: Database) -> None:
    lost(app, database_url=DEAD_DATABASE, redis_url=DEAD_REDIS)
    with pytest.raises(StoreUnavailable, match="submit"):
        add.submit(1)
    with pytest.raises(StoreUnavailable, match="submit again"):
        add.submit_many([(1,)])


def test_an_application_that_is_not_attached_is_told_so() -> None:
    plain = Celery("plain", set_as_current=False)
    with pytest.raises(JobPlatformError, match=r"jobplatform\.attach"):
        jobplatform.submit("x", app=plain)


def test_no_job_runs_here() -> None:
    with pytest.raises(JobPlatformError, match="inside a job"):
        jobplatform.current_job()
