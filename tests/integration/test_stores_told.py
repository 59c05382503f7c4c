"""What any web process tells of the stores, and the logs of attempts that it shows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from command_line import CliEnvironment
from prometheus_client.parser import text_string_to_metric_families

from jobplatform.actions import logs, telling
from jobplatform.actions.actor import Actor, Scope, Via, at_terminal
from jobplatform.actions.desk import Desk
from jobplatform.actions.permission import ROLES, Permission
from jobplatform.errors import Forbidden, JobNotFound
from jobplatform.journal.writer import connect
from jobplatform.metrics.names import METRICS, Teller
from jobplatform.records import NewJob, new_job_id
from jobplatform.settings import Settings
from jobplatform.store import attempt_logs, new_jobs
from jobplatform.store.database import Database
from jobplatform.transport import keys
from jobplatform.transport.message import Message
from jobplatform.transport.publisher import Publisher

ROOT = at_terminal("root")


@pytest.fixture
def desk(settings: Settings, database: Database, client: Any) -> Iterator[Desk]:
    known = replace(settings, queues=("celery", "mail"))
    yield Desk(known, database, lambda: connect(settings.redis_url), lambda: None)


def told(desk: Desk) -> dict[tuple[str, ...], float]:
    """Read what a web process tells, by name and labels."""
    found = telling.metrics(desk, ROOT)
    assert found.content_type.startswith("text/plain; version=0.0.4")
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(found.body.decode())
        for sample in family.samples
    }


def add_job(database: Database, **values: Any) -> str:
    job = NewJob(new_job_id(), "shop.mail", "{}", **{"queue": "mail", **values})
    with database.transaction() as transaction:
        new_jobs.insert_one(transaction, job)
    return job.job_id


def test_a_web_process_tells_what_the_stores_say(desk: Desk, database: Database, client: Any) -> None:
    quiet = told(desk)
    assert quiet["jobplatform_queue_depth", "mail"] == quiet["jobplatform_journal_entries",] == 0
    assert quiet["jobplatform_controllers_alive",] == quiet["jobplatform_due_lag_seconds",] == 0
    now = desk.now().timestamp()
    publisher = Publisher(desk.settings.redis_url, 3.0)
    publisher.push_many([Message(new_job_id(), "shop.mail", "{}", "mail", 1, now - 60)] * 3)
    publisher.close()
    add_job(database, queue="nobodys", due_at=now - 90)
    client.xadd(keys.JOURNAL, {"e1": "{}"})
    client.set(keys.CONTROLLER, "{}")
    client.hset(keys.LEASES, "a:1", "x")
    with database.transaction() as transaction:
        run = transaction.connection.exec_driver_sql
        schema = desk.settings.schema
        run(f"insert into {schema}.job_schedules (name, job_type, cron_expression, next_run) "
            "values ('s', 'shop.mail', '* * * * *', now() - interval '2 minutes')")  # fmt: skip
        columns = "worker_id, name, status, started_at, last_seen_at, report, duty"
        for name, status, report, duty in (
            ("a", "alive", '{"slots": 4, "active": 3}', "work"),
            ("b", "alive", "{}", "drain"),
            ("c", "stale", "{}", "work"),
        ):  # fmt: skip
            run(f"insert into {schema}.workers ({columns}) values (%s, %s, %s, now(), now(), %s, %s)",
                (name, name, status, report, duty))  # fmt: skip
    found = told(desk)
    assert found["jobplatform_queue_depth", "mail"] == 3
    assert 60 <= found["jobplatform_queue_oldest_age_seconds", "mail"] < 120
    assert ("jobplatform_queue_depth", "nobodys") in found
    assert 90 <= found["jobplatform_due_lag_seconds",] < 150
    assert 120 <= found["jobplatform_scheduler_lag_seconds",] < 180
    assert [found["jobplatform_workers", state] for state in ("working", "cordoned", "draining", "stale")] == [
        1, 0, 1, 1,
    ]  # fmt: skip
    assert (found["jobplatform_slots",], found["jobplatform_running",], found["jobplatform_leases",]) == (4, 3, 1)
    assert found["jobplatform_journal_entries",] == found["jobplatform_controllers_alive",] == 1
    expected = {each.name for each in METRICS.values() if each.teller in (Teller.STORES, Teller.ALL)}
    # There is no fleet here.
    assert expected - {key[0] for key in found} == {"jobplatform_workers_wanted"}
    assert 0 < found["jobplatform_broker_memory_ratio",] < 1


def test_metrics_are_for_those_who_see_all_queues_and_a_store_that_is_away_is_named(desk: Desk) -> None:
    scoped = Actor("ann", Via.PAGE, ROLES["operator"], Scope(frozenset({"mail"})), None)
    with pytest.raises(Forbidden, match="all queues"):
        telling.metrics(desk, scoped)
    assert telling.unready(desk) == []
    nowhere = replace(desk, redis=lambda: connect("redis://127.0.0.1:1/0", timeout=0.2))
    assert telling.unready(nowhere) == ["Redis does not answer; see: jobplatform doctor"]


def test_the_log_of_an_attempt_is_for_those_who_see_payloads(
    desk: Desk, database: Database, cli_environment: CliEnvironment
) -> None:
    job_id = add_job(database)
    rows = [{"job_id": job_id, "attempt": number, "at": 1.0, "text": f"try {number}", "cut": 0} for number in (1, 2)]
    with database.transaction() as transaction:
        assert attempt_logs.record(transaction, [*rows, {**rows[0], "job_id": new_job_id()}]) == 2
        assert attempt_logs.record(transaction, [{**rows[0], "text": "again"}]) == 0
    assert [(logs.read(desk, ROOT, job_id, number) or {}).get("text") for number in (None, 1, 3)] == [
        "try 2", "try 1", None,
    ]  # fmt: skip
    viewer = Actor("ann", Via.PAGE, ROLES["operator"], Scope(), None)
    with pytest.raises(Forbidden, match=r"jobs\.payload"):
        logs.read(desk, viewer, job_id)
    elsewhere = Actor("bob", Via.PAGE, frozenset({Permission.JOBS_PAYLOAD}), Scope(frozenset({"celery"})), None)
    with pytest.raises(JobNotFound):
        logs.read(desk, elsewhere, job_id)
    assert "log of attempt 1:\n  try 1\n" in cli_environment.run("jobs", "logs", job_id, "--attempt", "1").stdout
    assert cli_environment.json("jobs", "logs", job_id)["log"]["text"] == "try 2"
    assert cli_environment.run("jobs", "logs", job_id, "--attempt", "3").stdout == "no log is kept of it\n"
