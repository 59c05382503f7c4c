"""Until when jobs may begin, and until when they have to be done: rows, messages, decisions."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery import Celery
from celery.signals import before_task_publish

import jobplatform
from jobplatform import Unique, Workflow, job
from jobplatform.errors import JobOptionError
from jobplatform.jobs.retry import decide_all
from jobplatform.journal import entry
from jobplatform.journal.entry import Kind
from jobplatform.journal.mirror import Mirror
from jobplatform.maintenance.dispatcher import Dispatcher
from jobplatform.scheduling.fires import TypeFacts
from jobplatform.scheduling.ticker import Ticker
from jobplatform.settings import Settings
from jobplatform.store import dependencies, jobs, schedules
from jobplatform.store.database import Database


@job(name="e.plain", retry={"base": 0.0})
def plain(number: int = 0) -> None: ...


@job(name="e.declared", deadline=60, timeout=50, soft_timeout=40)
def declared(number: int = 0) -> None: ...


@pytest.fixture
def app(settings: Settings, database: Database, client: Any) -> Iterator[Celery]:
    made = Celery("expiry", set_as_current=True)
    jobplatform.attach(made, settings)
    made.set_default()
    yield made
    made.jobplatform.close()
    made.close()


def rows(database: Database) -> dict[str, Mapping[str, Any]]:
    with database.session() as session:
        found = session.connection.exec_driver_sql(
            f'select job_id::text as id, * from "{database.schema}".jobs order by created_at, job_id'
        )
        return {row["id"]: row for row in found.mappings()}


def change(database: Database, sql: str) -> None:
    with database.transaction() as transaction:
        transaction.connection.exec_driver_sql(sql.replace("@", f'"{database.schema}".'))


def headers_in(client: Any, queue: str = "celery") -> list[dict[str, Any]]:
    """Give the headers of what is in a queue, the last pushed first."""
    return [json.loads(text)["headers"] for text in client.lrange(queue, 0, -1)]


def dispatch(app: Celery, database: Database) -> None:
    """Do all that is due."""
    made = Dispatcher(database, app.jobplatform.publisher, 100, 1.0, again_after=0.0)
    while True:
        with database.transaction() as transaction:
            dependencies.examine(transaction, 100, timedelta(), timedelta(hours=1))
        if not made.run_once(datetime.now(UTC)):
            return


def fail(client: Any, database: Database, job_id: str, attempt: int = 1) -> None:
    """Let an attempt fail now."""
    head = entry.attempt_head(job_id, attempt, "w", 1, None, "")
    at = time.time()
    error = {"type": "ValueError", "message": "no luck", "classes": ["ValueError"]}
    client.xadd("jp:journal", {"e1": entry.ended(Kind.FAILED, head, at, at, error)})
    mirror = Mirror(client, database, decide_all, lambda seconds: None, batch=100, block_seconds=0.01)
    while mirror.run_once(datetime.now(UTC)):
        pass


def test_a_deadline_is_in_the_row_and_in_the_message(app: Celery, database: Database, client: Any) -> None:
    result = plain.using(deadline=60).submit()
    row, (headers,) = rows(database)[result.id], headers_in(client)
    assert row["deadline"] == 60
    assert row["deadline_at"].timestamp() == pytest.approx(headers["jp_deadline"], abs=1e-5)
    expires = datetime.fromisoformat(headers["expires"])
    assert abs(expires - row["deadline_at"]) < timedelta(milliseconds=1), "a stock worker begins no later either"
    assert (row["deadline_at"] - row["enqueued_at"]).total_seconds() == pytest.approx(60, abs=0.1)
    assert row["expires_at"] is None


def test_of_both_the_earlier_says_until_when_a_job_may_begin(app: Celery, database: Database, client: Any) -> None:
    for expires in (30, 90):
        plain.using(deadline=60, expires=expires).submit()
    plain.submit()
    none, second, first = headers_in(client)
    assert "jp_deadline" not in none
    assert "expires" not in none
    ends = [datetime.fromisoformat(headers["expires"]).timestamp() for headers in (first, second)]
    assert ends[0] == pytest.approx(first["jp_deadline"] - 30, abs=0.1)
    assert ends[1] == pytest.approx(second["jp_deadline"], abs=0.001)


def test_celerys_own_publishing_carries_a_deadline(app: Celery, database: Database, client: Any) -> None:
    before_task_publish.connect(_hear)
    try:
        ids = [declared.submit().id, jobplatform.submit("e.unknown", deadline=60, expires=30).id]
    finally:
        before_task_publish.disconnect(_hear)
    found = rows(database)
    for job_id, headers in zip(ids, reversed(headers_in(client)), strict=True):
        assert found[job_id]["deadline"] == 60
        assert found[job_id]["deadline_at"].timestamp() == pytest.approx(headers["jp_deadline"], abs=1e-5)
        assert found[job_id]["message"] is None or "jp_deadline" not in str(found[job_id]["message"])
    later, earlier = headers_in(client)[1], headers_in(client)[0]
    assert datetime.fromisoformat(later["expires"]).timestamp() == pytest.approx(later["jp_deadline"], abs=1e-3)
    assert datetime.fromisoformat(earlier["expires"]).timestamp() == pytest.approx(earlier["jp_deadline"] - 30, abs=0.1)


def _hear(**_: Any) -> None: ...


def test_a_job_that_could_never_begin_is_refused(app: Celery, database: Database) -> None:
    with pytest.raises(JobOptionError, match="deadline: it comes 30 s before the job is to begin"):
        plain.using(countdown=60, deadline=30).submit()
    with pytest.raises(JobOptionError, match="deadline: it comes 10 s before"):
        declared.using(countdown=70).submit()
    with pytest.raises(JobOptionError, match="has no time zone"):
        plain.using(deadline=datetime(2030, 1, 1, tzinfo=UTC).replace(tzinfo=None)).submit()
    assert rows(database) == {}


@pytest.mark.parametrize(
    ("expires", "deadline", "error"),
    [(-1, None, "Expired"), (None, -1, "DeadlineExceeded"), (-2, -1, "Expired"), (-1, -2, "DeadlineExceeded"),
     (60, -1, "DeadlineExceeded"), (-1, 60, "Expired"), (60, 60, None)],
)  # fmt: skip
@pytest.mark.parametrize("status", ["SCHEDULED", "PENDING", "RETRYING"])
def test_the_dispatcher_publishes_nothing_that_comes_too_late(
    app: Celery, database: Database, client: Any, expires: int | None, deadline: int | None, error: str | None,
    status: str,
) -> None:  # fmt: skip
    job_id = plain.using(countdown=0.01).submit().id
    client.delete("celery")
    change(
        database,
        f"update @jobs set status = '{status}', due_at = now(), scheduled_at = null, "
        f"expires_at = now() + {_interval(expires)}, deadline_at = now() + {_interval(deadline)}",
    )
    behind = plain.using(after=job_id).submit().id
    dispatch(app, database)
    found = rows(database)
    assert found[job_id]["error_type"] == error
    assert found[job_id]["status"] == ("CANCELLED" if error else "PENDING")
    assert found[behind]["status"] == ("CANCELLED" if error else "BLOCKED")
    assert client.llen("celery") == (0 if error else 1)


def _interval(seconds: int | None) -> str:
    return "null::interval" if seconds is None else f"interval '{seconds} s'"


def test_the_dispatchers_message_carries_the_deadline(app: Celery, database: Database, client: Any) -> None:
    result = plain.using(countdown=60, deadline=90).submit()
    change(database, "update @jobs set due_at = now(), scheduled_at = null")
    dispatch(app, database)
    (headers,) = headers_in(client)
    assert headers["jp_deadline"] == pytest.approx(rows(database)[result.id]["deadline_at"].timestamp(), abs=1e-5)


def test_a_blocked_job_ends_at_its_deadline(app: Celery, database: Database) -> None:
    flow = Workflow()
    first = flow.add(plain.s(), name="first")
    second = flow.add(plain.s().set(deadline=60), after=first, name="second")
    flow.add(plain.s(), after=second, name="third")
    ids = {name: result.id for name, result in flow.submit().items()}
    row = rows(database)[ids["second"]]
    assert row["due_at"] == row["deadline_at"], "a node's deadline counts from the submission of the graph"
    dispatch(app, database)
    assert rows(database)[ids["second"]]["status"] == "BLOCKED"
    change(database, "update @jobs set deadline_at = now(), due_at = now() where deadline is not null")
    dispatch(app, database)
    found = {
        name: (rows(database)[job_id]["status"], rows(database)[job_id]["error_type"]) for name, job_id in ids.items()
    }
    assert found == {
        "first": ("PENDING", None),
        "second": ("CANCELLED", "DeadlineExceeded"),
        "third": ("CANCELLED", "DependencyUnmet"),
    }


def test_a_job_after_another_is_looked_at_again_at_its_deadline(app: Celery, database: Database) -> None:
    first = plain.submit()
    second = plain.using(after=first, deadline=60, expires=90).submit()
    row, patience = rows(database)[second.id], time.monotonic() + 20.0
    # Who submits guesses the time of the store, and may be ahead of it by a moment.
    while row["due_at"] != row["deadline_at"] and time.monotonic() < patience:
        dispatch(app, database)
        row = rows(database)[second.id]
    assert (row["status"], row["due_at"]) == ("BLOCKED", row["deadline_at"])


def test_a_retry_after_the_deadline_is_a_dead_letter(app: Celery, database: Database, client: Any) -> None:
    early, late = (plain.using(deadline=seconds).submit().id for seconds in (60, 0.001))
    fail(client, database, early)
    fail(client, database, late)
    found = rows(database)
    assert (found[early]["status"], found[late]["status"]) == ("RETRYING", "FAILED")
    with database.session() as session:
        letters = session.connection.exec_driver_sql(
            f'select job_id::text, reason from "{database.schema}".dead_letter_jobs'
        ).all()
    ((job_id, reason),) = letters
    assert job_id == late
    assert reason.startswith("deadline: it failed")


def test_what_is_replayed_has_as_long_as_before(app: Celery, database: Database, client: Any) -> None:
    first = plain.using(deadline=60, expires=30).submit().id
    after = plain.using(after=first, deadline=40, expires=20).submit().id
    dispatch(app, database)
    change(
        database,
        "update @jobs set deadline_at = now() - interval '1 h', expires_at = now() - interval '1 h', due_at = now()",
    )
    dispatch(app, database)
    assert {row["status"] for row in rows(database).values()} == {"CANCELLED"}
    change(database, "update @jobs set error_type = 'DependencyUnmet' where status = 'CANCELLED' and deadline = 40")
    with database.transaction() as transaction:
        assert jobs.replay(transaction, [first]) == [first]
    found = rows(database)
    assert (found[first]["status"], found[after]["status"]) == ("PENDING", "BLOCKED")
    for job_id, seconds in ((first, 60), (after, 40)):
        row = found[job_id]
        assert (row["deadline_at"] - row["updated_at"]).total_seconds() == pytest.approx(seconds)
        assert row["expires_at"] is None, "somebody wants it now"
    assert found[after]["due_at"] == found[after]["deadline_at"]
    dispatch(app, database)
    assert rows(database)[first]["error_type"] is None


def test_an_expiry_that_is_to_come_outlasts_a_replay(app: Celery, database: Database) -> None:
    job_id = plain.using(expires=60).submit().id
    before = rows(database)[job_id]["expires_at"]
    change(database, "update @jobs set status = 'FAILED'")
    with database.transaction() as transaction:
        jobs.replay(transaction, [job_id])
    assert rows(database)[job_id]["expires_at"] == before


def test_what_is_replaced_has_the_deadline_of_the_last(app: Celery, database: Database) -> None:
    unique = Unique("k", mode="debounce")
    for seconds in (60, 90):
        plain.using(unique=unique, countdown=30, deadline=seconds, expires=seconds).submit()
    (row,) = rows(database).values()
    assert row["deadline"] == 90
    assert (row["deadline_at"] - row["created_at"]).total_seconds() == pytest.approx(90, abs=1)
    assert (row["expires_at"] - row["created_at"]).total_seconds() == pytest.approx(90, abs=1)


def test_many_jobs_share_a_deadline(app: Celery, database: Database, client: Any) -> None:
    plain.submit_many([1, 2, 3], deadline=60)
    assert {row["deadline"] for row in rows(database).values()} == {60}
    assert len({headers["jp_deadline"] for headers in headers_in(client)}) == 1


def test_a_fire_has_the_deadline_of_its_job_type_from_when_it_begins(database: Database) -> None:
    with database.transaction() as transaction:
        row = {**_SCHEDULE, "job_type": declared.name}
        schedules.put(transaction, [row])
    facts = TypeFacts(timeout=50, deadline=60)
    ticker = Ticker(database, lambda job_type: facts, timedelta(seconds=10))
    now = datetime(2030, 1, 1, 12, 0, 30, tzinfo=UTC)
    ticker.run_once(now)
    ticker.run_once(now + timedelta(seconds=45))
    (row,) = rows(database).values()
    assert row["deadline"] == 60
    assert row["scheduled_at"] is not None
    assert row["deadline_at"] - row["scheduled_at"] == timedelta(seconds=60)


_SCHEDULE: dict[str, Any] = {
    "name": "n", "cron_expression": "* * * * *", "timezone": "UTC", "payload_template": {"args": [], "kwargs": {}},
    "priority": 1, "queue": "celery", "misfire": "once", "misfire_grace": 60, "misfire_window": 3600,
    "misfire_cap": 100, "overlap": "allow_all", "jitter": 0, "spread": 100,
}  # fmt: skip
