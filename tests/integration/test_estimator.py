"""How long jobs take: learned from what ran, foretold at submit, shown, and used to say when a job is done."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from celery import Celery
from command_line import CliEnvironment

import jobplatform
from jobplatform import job
from jobplatform.cli.exits import Exit
from jobplatform.decision import Seen
from jobplatform.errors import JobOptionError
from jobplatform.jobs.retry import decide_all
from jobplatform.journal import entry
from jobplatform.journal.mirror import JOURNAL, Mirror
from jobplatform.maintenance.estimator import Estimator
from jobplatform.records import Edge, NewJob, new_job_id, row_of
from jobplatform.settings import Settings
from jobplatform.store import durations, executions, models, new_jobs, workers
from jobplatform.store.database import Database
from jobplatform.transport import keys

#: More than a controller or an operating system needs.
PATIENCE = 90.0


@job(name="d.report", duration_key=("country",), long_queue="d.long", long_after=60.0)
def report(country: str, page: int = 1) -> None: ...


@job(name="d.plain")
def plain() -> None: ...


@pytest.fixture
def app(settings: Settings, database: Database, client: Any) -> Iterator[Celery]:
    made = Celery("durations", set_as_current=True)
    jobplatform.attach(made, settings)
    made.set_default()
    yield made
    made.jobplatform.close()
    made.close()


@pytest.fixture
def estimator(database: Database, settings: Settings) -> Iterator[Estimator]:
    made = Estimator(database, settings)
    yield made
    made.close()


def now() -> datetime:
    return datetime.now(UTC)


def row_for(database: Database, job_id: str) -> Any:
    return rows(database)[job_id]


def rows(database: Database) -> dict[str, Any]:
    with database.session() as session:
        found = session.connection.exec_driver_sql(f'select job_id::text as id, * from "{database.schema}".jobs')
        return {row["id"]: row for row in found.mappings()}


def run_of(job_id: str, seconds: float) -> str:
    head = entry.attempt_head(job_id, 1, "w1", 100, time.time() - 1, "")
    at = time.time()
    return entry.completed(head, at, at + seconds, "null")


def mirror(database: Database, client: Any, estimator: Estimator, lines: list[str]) -> None:
    for line in lines:
        client.xadd(JOURNAL, {"e1": line})
    made = Mirror(
        client, database, decide_all, lambda seconds: None, batch=100, block_seconds=0.01, observe=estimator.observe
    )
    while made.run_once(now()):
        pass


def ran(database: Database, count: int, *, seed: int = 1) -> None:
    """Write runs that completed, a second apart: of five types with four keys each; two usual times take turns."""
    luck, start = np.random.default_rng(seed), time.time() - count
    new, done = [], []
    for number in range(count):
        kind, key = number % 5, number // 5 % 4
        usual = 0.5 * 1.3 ** (kind + key) * 4.0 ** (number // 20 % 2)
        seconds = float(usual * luck.normal(1.0, 0.03) if luck.random() < 0.8 else luck.lognormal(1.0, 1.0))
        job_id = new_job_id(start + number)
        new.append(row_of(NewJob(job_id, f"d.{kind}", '{"args":[],"kwargs":{}}', "celery", duration_key=f"k={key}")))
        done.append({
            "job_id": job_id, "attempt": 1, "worker_id": "w1", "started_at": start + number,
            "completed_at": start + number + seconds, "status": "COMPLETED", "metrics": {"run": seconds},
        })  # fmt: skip
    with database.transaction() as transaction:
        new_jobs.insert(transaction, new)
        executions.record(transaction, done)
        transaction.connection.exec_driver_sql(
            f"""update "{database.schema}".jobs j set created_at = e.started_at
            from "{database.schema}".job_executions e where e.job_id = j.job_id"""
        )


def test_what_ran_is_foretold_of_the_next_by_its_key(
    app: Celery, database: Database, client: Any, estimator: Estimator
) -> None:
    first = [report.submit("at").id for _ in range(3)] + [report.submit("de").id, plain.submit().id]
    assert {row["predicted_p50"] for row in rows(database).values()} == {None}
    assert rows(database)[first[0]]["duration_key"] == 'country="at"'
    mirror(database, client, estimator, [run_of(each, 7.0) for each in first[:3]] + [run_of(first[3], 600.0)])
    assert estimator.run_once(now())["runs"] == 4
    assert estimator.run_once(now()) == Counter()
    app.jobplatform.estimates._known.clear()
    again = row_for(database, report.submit("at", page=2).id)
    assert (again["predicted_p50"], again["predicted_by"], again["queue"]) == (7.0, "rule, 3 runs", "celery")
    assert again["predicted_p10"] < 7.0 < again["predicted_p90"]
    assert row_for(database, plain.submit().id)["predicted_by"] is None
    # A key that never ran is foretold by what all of its type took.
    assert row_for(database, report.submit("ch").id)["predicted_by"] == "rule, 4 runs"


def test_long_jobs_go_to_a_queue_of_their_own_unless_the_caller_names_one(
    app: Celery, database: Database, client: Any, estimator: Estimator
) -> None:
    slow, quick = report.submit("de").id, report.submit("at").id
    mirror(database, client, estimator, [run_of(slow, 600.0), run_of(quick, 1.0)])
    estimator.run_once(now())
    app.jobplatform.estimates._known.clear()
    first, second = report.submit_many([("de",), ("at",)])
    third, fourth = report.submit("de").id, report.using(queue="celery").submit("de").id
    found = rows(database)
    assert [found[each]["queue"] for each in (first, second, third, fourth)] == ["d.long", "celery", "d.long", "celery"]
    assert found[first]["predicted_p50"] == 600.0
    sent = {json.loads(raw)["headers"]["id"] for raw in client.lrange(keys.queue_list("d.long", 1), 0, -1)}
    assert sent == {first, third}


def test_what_comes_through_the_journal_is_foretold_as_it_is_written(
    app: Celery, database: Database, client: Any, estimator: Estimator
) -> None:
    before = [report.submit("at").id for _ in range(2)]
    mirror(database, client, estimator, [run_of(each, 7.0) for each in before])
    estimator.run_once(now())
    job_id = new_job_id()
    row = row_of(NewJob(job_id, "d.report", '{"args":["at"],"kwargs":{}}', "celery", duration_key='country="at"'))
    mirror(database, client, estimator, [entry.submitted(job_id, time.time(), row)])
    assert rows(database)[job_id]["predicted_by"] == "rule, 2 runs"


def test_how_true_forecasts_were_is_kept_and_moves_what_is_foretold(
    app: Celery, database: Database, client: Any, estimator: Estimator, cli_environment: CliEnvironment
) -> None:
    first = report.submit("at").id
    mirror(database, client, estimator, [run_of(first, 10.0)])
    estimator.run_once(now())
    app.jobplatform.estimates._known.clear()
    told = [report.submit("at").id for _ in range(4)]
    before = rows(database)[told[0]]["predicted_p90"]
    mirror(
        database,
        client,
        estimator,
        [run_of(each, seconds) for each, seconds in zip(told, (10, 11, 900, 900), strict=True)],
    )
    estimator.run_once(now())
    (row,) = cli_environment.json("durations", "list")
    assert (row["job_type"], row["runs"], row["within"], row["inside"]) == ("d.report", 5, 0.5, 0.5)
    shown = cli_environment.json("durations", "show", "d.report")
    assert [each["key"] for each in shown["estimates"]] == ["", 'country="at"']
    assert (shown["days"][0]["judged"], shown["days"][0]["above"]) == (4, 0.5)
    assert shown["estimates"][0]["p90"] > before
    for command in (("list",), ("show", "d.report"), ("suggest",)):
        assert cli_environment.run("durations", *command).exit_code == Exit.OK
    assert cli_environment.run("durations", "show", "d.none").exit_code != Exit.OK


def test_a_child_trains_a_model_that_is_better_than_the_rule_and_it_foretells(
    database: Database, settings: Settings, estimator: Estimator, cli_environment: CliEnvironment
) -> None:
    ran(database, 3_000)
    day = [
        {
            "job_type": "d.0",
            "runs": 3_000,
            "judged": 0,
            "below": 0,
            "above": 0,
            "within": 0,
            "error": 0.0,
            "seconds": 1.0,
        }
    ]
    with database.transaction() as transaction:
        durations.count_coverage(transaction, day, now())
    assert estimator.run_once(now())["began"] == 1
    deadline = time.monotonic() + PATIENCE
    while not (counts := estimator.run_once(now()))["trained"]:
        assert time.monotonic() < deadline
        assert not counts["failed"]
    with database.session() as session:
        head = models.in_force(session, models.DURATION)
        assert models.in_force(session) is None
        assert head is not None
        row = models.show(session, head["version"])
    assert row is not None
    assert (head["state"], row["kind"]) == ("active", "duration")
    assert row["metrics"]["within"] > row["metrics"]["rule_within"]
    # What is in force says so; what is on trial, or off, leaves it to the rule.
    with database.session() as session:
        seconds = [(run["job_type"], run["seconds"]) for run in durations.runs(session, 60)]
    ids = {each: found for each, found in rows(database).items() if found["job_type"] == "d.0"}
    chosen = list(ids)[:30]
    estimator.observe(Seen(time.time(), runs=[(each, 10.0) for each in chosen]))
    estimator.run_once(now())
    assert seconds
    with database.session() as session:
        by = {row["key"]: row["decided_by"] for row in durations.of_type(session, "d.0")}
    assert by[""].startswith(f"model {head['version']}, ")
    shadow = Estimator(database, replace(settings, duration_model="shadow"))
    shadow.observe(Seen(time.time(), runs=[(each, 10.0) for each in chosen]))
    shadow.run_once(now())
    with database.session() as session:
        assert durations.of_type(session, "d.0")[0]["decided_by"].startswith("rule, ")
    shadow.close()
    assert cli_environment.json("models", "train", "--kind", "duration")["state"] == "active"


def test_nothing_is_trained_when_it_is_off_or_when_there_is_too_little(
    database: Database, settings: Settings, estimator: Estimator
) -> None:
    assert estimator.run_once(now()) == Counter()
    day = [
        {"job_type": "t", "runs": 5_000, "judged": 0, "below": 0, "above": 0, "within": 0, "error": 0.0, "seconds": 1.0}
    ]
    with database.transaction() as transaction:
        durations.count_coverage(transaction, day, now())
    off = Estimator(database, replace(settings, duration_model="off"))
    assert off.run_once(now()) == Counter()
    assert estimator.run_once(now() + timedelta(hours=2))["began"] == 1


def test_intervals_that_do_not_hold_what_they_should_are_complained_of(
    database: Database, estimator: Estimator, caplog: pytest.LogCaptureFixture
) -> None:
    day = [
        {
            "job_type": "t",
            "runs": 300,
            "judged": 300,
            "below": 60,
            "above": 90,
            "within": 10,
            "error": 9.0,
            "seconds": 1.0,
        }
    ]
    with database.transaction() as transaction:
        durations.count_coverage(transaction, day, now())
    estimator.run_once(now())
    assert "0.50 of the last 300 runs were inside of intervals of 0.80" in caplog.text


def test_old_estimates_and_keys_beyond_those_that_ran_last_are_deleted(database: Database) -> None:
    row = {"p10": 1.0, "p50": 1.0, "p90": 1.0, "chance": None, "runs": 1, "decided_by": "rule, 1 run", "longest": 1.0}
    made = [
        {**row, "job_type": kind, "key": key, "history": [1.0], "widening": {}}
        for kind, key in [("t", ""), *(("t", f"{number}") for number in range(durations.MOST_KEYS + 5)), ("old", "")]
    ]
    with database.transaction() as transaction:
        durations.write(transaction, made)
        transaction.connection.exec_driver_sql(
            f"""update "{database.schema}".duration_estimates set updated_at = now() - interval '70 days'
            where job_type = 'old' or key in ('3', '4')"""
        )
        durations.prune(transaction, now())
        left = durations.of_type(transaction, "t", 5_000)
        assert durations.of_type(transaction, "old") == []
    assert left[0]["key"] == ""
    assert len(left) <= durations.MOST_KEYS + 1
    assert {"3", "4"}.isdisjoint(each["key"] for each in left)


def test_when_a_job_a_batch_and_a_workflow_are_done(cli_environment: CliEnvironment) -> None:
    place = cli_environment
    told = {"predicted_p10": 8.0, "predicted_p50": 10.0, "predicted_p90": 12.0, "predicted_by": "rule, 9 runs"}
    start = time.time() - 100
    waiting = [place.add(enqueued_at=start + number, **told) for number in range(6)]
    first = place.json("jobs", "eta", waiting[3])
    assert first["words"] == "no worker takes jobs of its queue; 3 wait before it"
    said = {
        "worker_id": "w1",
        "name": "w1@h",
        "pid": 1,
        "status": "alive",
        "started_at": start,
        "last_seen_at": time.time(),
    }
    with place.database.transaction() as transaction:
        workers.record(transaction, [{**said, "report": {"slots": 2, "queues": ["celery"]}}], now())
    found = place.json("jobs", "eta", waiting[4])
    assert (found["behind"], found["starts_in"], found["done_in"]) == (4, pytest.approx(20.0), pytest.approx(30.0))
    assert place.run("jobs", "eta", waiting[4]).stdout == "starts in about 20 s, done in about 30 s; behind 4 jobs\n"
    urgent = place.add(enqueued_at=time.time(), priority=5, **told)
    assert place.json("jobs", "eta", urgent)["behind"] == 0
    assert place.json("jobs", "eta", waiting[4])["behind"] == 5
    assert place.json("jobs", "eta", place.add("PAUSED"))["words"] == "it is paused"
    batch = new_job_id()
    with place.database.transaction() as transaction:
        transaction.connection.exec_driver_sql(
            f"""insert into "{place.database.schema}".batches (batch_id, name, callbacks)
            values ('{batch}', 'b', '{{}}')"""
        )
    place.add(enqueued_at=start + 50, batch_id=batch, **told)
    assert place.json("batches", "eta", batch)["behind"] == 7
    last = new_job_id()
    row = NewJob(last, "t", '{"args":[],"kwargs":{}}', "celery", status="BLOCKED", after=(Edge(waiting[0]),), **told)
    with place.database.transaction() as transaction:
        new_jobs.insert(transaction, [row_of(row)], edges=True)
    whole = place.json("jobs", "eta", last, "--workflow")
    assert whole["done_in"] == pytest.approx(5.0 + 20.0)
    assert whole["reason"] == "2 of 2 jobs are not done"


def test_a_key_names_arguments_that_there_are() -> None:
    with pytest.raises(JobOptionError, match="'land' is no argument"):

        @job(name="d.wrong", duration_key=("land",))
        def wrong(country: str) -> None: ...

    with pytest.raises(JobOptionError, match="goes with long_after"):

        @job(name="d.half", long_queue="x")
        def half() -> None: ...
