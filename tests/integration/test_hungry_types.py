"""Job types that take much memory: found in what ran, kept, and sent to the queue that they declare."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery import Celery
from command_line import CliEnvironment
from retries import scribble

import jobplatform
from jobplatform import job
from jobplatform.jobs.hungry import Hungry
from jobplatform.records import NewJob, new_job_id, row_of
from jobplatform.settings import Settings
from jobplatform.store import hungry, new_jobs
from jobplatform.store.database import Database
from jobplatform.workers.hunger_watch import HungerWatch

MIB = 1024


@job(name="h.render", queue="h.usual", large_queue="h.large", long_queue="h.long", long_after=0.001)
def render(page: int) -> None: ...


@job(name="h.mail", queue="h.usual")
def mail() -> None: ...


@pytest.fixture
def app(settings: Settings, database: Database, client: Any) -> Iterator[Celery]:
    made = Celery("hungry", set_as_current=True)
    jobplatform.attach(made, settings)
    made.set_default()
    yield made
    made.jobplatform.close()
    made.close()


def now() -> datetime:
    return datetime.now(UTC)


def ran(database: Database, job_type: str, pid: int, peak: int) -> None:
    """Write an attempt after which its process had reached a peak of so many MiB."""
    job_id = new_job_id()
    with database.transaction() as transaction:
        new_jobs.insert(transaction, [row_of(NewJob(job_id, job_type, '{"args":[],"kwargs":{}}', "h.usual"))])
    scribble(
        database,
        """insert into @job_executions (job_id, worker_id, attempt_number, started_at, completed_at, status, metrics)
        values (%(job_id)s::uuid, 'w', 1, now(), now(), 'COMPLETED', %(metrics)s::jsonb)""",
        job_id=job_id,
        metrics=f'{{"pid": {pid}, "peak_rss_kib": {peak * MIB}}}',
    )


def queue_of(database: Database, job_id: str) -> str:
    (row,) = scribble(database, "select queue from @jobs where job_id = %(job_id)s::uuid", job_id=job_id)
    return str(row["queue"])


def test_jobs_of_a_hungry_type_go_to_its_large_queue(
    app: Celery, database: Database, cli_environment: CliEnvironment, caplog: pytest.LogCaptureFixture
) -> None:
    assert queue_of(database, render.submit(1).id) == "h.usual"
    for pid in range(4):
        ran(database, "h.mail", pid, 60)
        ran(database, "h.render", pid, 700)
        ran(database, "h.mail", pid, 700)
    for _ in range(20):
        ran(database, "h.mail", 9, 60)
    watch = HungerWatch(database)
    assert watch.run_once(now()) == {"hungry": 1}
    assert "h.render takes 700 MiB where most take 60" in caplog.text
    assert not watch.run_once(now())
    (shown,) = cli_environment.json("workers", "hungry")
    assert (shown["job_type"], shown["lane"]) == ("h.render", "h.usual.large")
    assert shown["since"] is not None
    app.jobplatform.hungry = Hungry(app.jobplatform.hungry.ask)
    assert queue_of(database, render.submit(1).id) == "h.large"
    assert queue_of(database, render.submit_many([{"page": 1}])[0]) == "h.large"
    assert queue_of(database, render.apply_async((1,), queue="h.usual").id) == "h.usual"
    assert queue_of(database, mail.submit().id) == "h.usual"


def test_a_type_that_was_long_found_no_more_is_hungry_no_more(database: Database) -> None:
    known = {"job_type": "h.render", "queue": "q", "needs": 1.0, "usual": 1.0, "raised": 3, "deaths": 0}
    with database.transaction() as transaction:
        assert hungry.write(transaction, [known], now() - timedelta(days=8)) == {"h.render"}
        assert hungry.write(transaction, [{**known, "job_type": "h.new"}], now() - timedelta(days=6)) == {"h.new"}
    assert HungerWatch(database).run_once(now()) == {"forgotten": 1}
    with database.session() as session:
        assert [row["job_type"] for row in hungry.known(session)] == ["h.new"]


def test_what_was_known_holds_while_nobody_can_tell() -> None:
    answers: list[set[str] | None] = [{"h.render"}, None, set()]
    found = Hungry(lambda: answers.pop(0))
    assert [found.holds("h.render", at) for at in (100.0, 129.0, 131.0, 162.0)] == [True, True, True, False]
    assert answers == []
