"""Dead letters that people work on: edited, exported, imported, resolved and, long after, deleted."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from click.testing import Result
from command_line import CliEnvironment
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import jobplatform
from jobplatform.cli.exits import Exit
from jobplatform.maintenance.doctor import Level, judge_dead_letters
from jobplatform.maintenance.pruner import Pruner
from jobplatform.maintenance.replayer import Replayer
from jobplatform.settings import Settings
from jobplatform.store import dead_letters, migrate
from jobplatform.store.database import Database
from jobplatform.store.dead_letters import LetterFilter
from jobplatform.store.letter_files import export, take

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CHARGE = "letters.charge"


@jobplatform.job(name=CHARGE)
def charge(order: int, customer: str = "") -> None: ...


@pytest.fixture
def app(settings: Settings, database: Database, client: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Celery]:
    """An application with one job type, which the commands find in place of their own."""
    made = Celery("letters", set_as_current=False)
    jobplatform.attach(made, settings)
    made.finalize()
    monkeypatch.setattr("jobplatform.cli.desk.open_app", lambda settings: made)
    yield made
    made.jobplatform.close()
    made.close()


def execute(database: Database, sql: str) -> list[dict[str, Any]]:
    with database.session() as session:
        found = session.connection.exec_driver_sql(sql.replace("@", f'"{database.schema}".'))
        return [dict(row) for row in found.mappings().all()] if found.returns_rows else []


def payload(**kwargs: Any) -> str:
    return json.dumps({"args": [], "kwargs": kwargs})


# Editing


def test_the_replay_takes_the_edited_payload_and_the_one_that_failed_stays(
    cli_environment: CliEnvironment, app: Celery
) -> None:
    job_id = cli_environment.fail(job_type=CHARGE, payload=payload(order="7"))
    done = cli_environment.json(
        "dlq", "edit", "1", "--set", "kwargs.order=7", "--set", "kwargs.customer=Ann", "--by", "bea"
    )
    assert done["checked"]
    shown = cli_environment.json("dlq", "show", "1")
    assert (shown["payload"]["kwargs"], shown["edited_by"]) == ({"order": "7"}, "bea")
    assert shown["edited_payload"]["kwargs"] == {"order": 7, "customer": "Ann"}
    assert cli_environment.json("jobs", "show", job_id)["payload"]["kwargs"] == {"order": "7"}
    assert cli_environment.json("dlq", "replay", "1")[0]["outcome"] == "replayed"
    assert cli_environment.json("jobs", "show", job_id)["payload"]["kwargs"] == {"order": 7, "customer": "Ann"}
    shown = cli_environment.json("dlq", "show", "1")
    assert (shown["payload"]["kwargs"], shown["replayed_attempt"]) == ({"order": "7"}, 2)
    refused = cli_environment.run("dlq", "edit", "1", "--set", "kwargs.order=8")
    assert (refused.exit_code, "resolved already: replayed" in refused.stderr) == (Exit.CONFLICT, True)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--set", "kwargs.order=x"), "kwargs.order: it must be int, not str"),
        (("--set", "kwargs.oder=1"), "did you mean 'order'?"),
        (("--unset", "kwargs.order"), "kwargs.order: parameter 'order' is missing"),
        (("--payload", '{"order": 1}'), "no such part of a payload"),
        (("--payload", '{"kwargs": {"order": NaN}}'), "kwargs.order: nan is no JSON number"),
        (("--payload", "@/nowhere"), "--payload: /nowhere cannot be read"),
        (("--payload", "{"), "--payload: it is no JSON"),
        (("--set", "order=1"), "--set: 'order=1' cannot be read"),
        ((), "nothing says what to change"),
    ],
)
def test_an_edit_that_a_submission_would_refuse_is_refused(
    cli_environment: CliEnvironment, app: Celery, options: tuple[str, ...], complaint: str
) -> None:
    cli_environment.fail(job_type=CHARGE, payload=payload(order=1))
    result = cli_environment.run("dlq", "edit", "1", *options)
    assert (result.exit_code, complaint in result.stderr) == (Exit.USAGE, True), result.stderr
    assert cli_environment.json("dlq", "show", "1")["edited_payload"] is None


def test_an_edit_may_come_from_a_file_and_builds_on_the_one_before(
    cli_environment: CliEnvironment, app: Celery, tmp_path: Path
) -> None:
    cli_environment.fail(job_type=CHARGE, payload=payload(order=1))
    (tmp_path / "it.json").write_text('{"args": [2]}')
    assert cli_environment.json("dlq", "edit", "1", "--payload", f"@{tmp_path / 'it.json'}")["checked"]
    done = cli_environment.json("dlq", "edit", "1", "--set", "kwargs.customer=Ann")
    assert done["edited_payload"] == {"args": [2], "kwargs": {"customer": "Ann"}}


def test_too_large_an_edit_and_a_type_that_is_not_known_here(cli_environment: CliEnvironment, app: Celery) -> None:
    cli_environment.fail(job_type="other.app")
    result = cli_environment.run("dlq", "edit", "1", "--set", "kwargs.any=1")
    assert (result.exit_code, "were not checked" in result.stderr) == (0, True)
    result = cli_environment.run("dlq", "edit", "1", "--set", "kwargs.any=123", JOBPLATFORM_PAYLOAD_LIMIT="20")
    assert (result.exit_code, "the limit is 20 bytes" in result.stderr) == (Exit.USAGE, True)


def test_jobs_retry_takes_the_edited_payload_too(cli_environment: CliEnvironment, app: Celery) -> None:
    job_id = cli_environment.fail(job_type=CHARGE, payload=payload(order=1))
    cli_environment.json("dlq", "edit", "1", "--set", "kwargs.order=2")
    cli_environment.json("jobs", "retry", job_id)
    assert cli_environment.json("jobs", "show", job_id)["payload"]["kwargs"] == {"order": 2}
    assert cli_environment.json("dlq", "show", "1")["resolution"] == "replayed"


# Replays


def test_a_dry_run_tells_what_would_run_and_what_is_in_its_way(cli_environment: CliEnvironment, app: Celery) -> None:
    for order in range(12):
        cli_environment.fail(
            job_type=CHARGE, payload=payload(order=order if order % 4 else str(order)), limit_key=f"t:{order % 2}"
        )
    cli_environment.fail(job_type="other.app", queue="mail")
    gone = cli_environment.fail(job_type=CHARGE, payload=payload(order=1))
    execute(cli_environment.database, f"delete from @jobs where job_id = '{gone}'")
    for name, rate in (("type:letters.charge", "30/m"), ("key:t:*", "1/s"), ("queue:other", "1/h")):
        cli_environment.json("limits", "set", name, "--rate", rate)
    cli_environment.json("queues", "pause", "mail", "--reason", "why not")
    plan = cli_environment.json("dlq", "replay", "--cluster", "f", "--rate", "2/s", "--dry-run")
    assert (plan["jobs"], plan["canaries"], plan["rate"], plan["seconds_at_least"]) == (14, 5, 2.0, 24.0)
    assert {(row["job_type"], row["queue"], row["jobs"], row["refused"]) for row in plan["by"]} == {
        ("letters.charge", "celery", 12, 0), ("other.app", "mail", 1, 0), ("letters.charge", None, 1, 1),
    }  # fmt: skip
    (invalid,) = plan["invalid"]
    assert (invalid["field"], invalid["jobs"], invalid["dlq_id"]) == ("kwargs.order", 3, 1)
    assert plan["unchecked"] == ["other.app"]
    assert plan["unknown"] == ["letters.charge", "other.app"]
    assert [(row["name"], row["jobs"], row["seconds"]) for row in plan["limits"]] == [
        ("key:t:*", 12, 6.0), ("type:letters.charge", 12, 24.0),
    ]  # fmt: skip
    assert [(row["scope"], row["name"]) for row in plan["paused"]] == [("queue", "mail")]
    text = cli_environment.run("dlq", "replay", "--cluster", "f", "--dry-run").stdout
    assert "payloads that do not fit any more" in text
    assert cli_environment.json("dlq", "replays", "list") == {"replays": [], "next": None}


def test_replays_are_asked_for_listed_shown_and_cancelled(cli_environment: CliEnvironment) -> None:
    for _ in range(12):
        cli_environment.fail()
    asked = cli_environment.json("dlq", "replay", *map(str, range(1, 12)), "--rate", "60/m", "--by", "ann")
    assert (asked["replay_id"], asked["jobs"], asked["stop_on"]) == (1, 11, ["f"])
    Replayer(cli_environment.database).run_once(datetime.now(UTC))
    shown = cli_environment.json("dlq", "replays", "show", "1")
    assert (shown["state"], shown["sent"], shown["waiting"], shown["asked_by"]) == ("running", 1, 10, "ann")
    (letter,) = cli_environment.json("dlq", "list", "--all")["dead_letters"][-1:]
    assert (letter["resolution"], letter["replay_id"]) == ("replayed", 1)
    assert cli_environment.run("dlq", "replays", "cancel", "1").stdout == "replay 1 is cancelled\n"
    (listed,) = cli_environment.json("dlq", "replays", "list")["replays"]
    assert (listed["state"], listed["reason"].split()[0]) == ("cancelled", "cancelled")
    assert cli_environment.json("dlq", "replays", "list", "--running")["replays"] == []
    assert cli_environment.run("dlq", "replays", "cancel", "1").exit_code == Exit.CONFLICT
    for verb in ("show", "cancel"):
        assert cli_environment.run("dlq", "replays", verb, "9").exit_code == Exit.NOT_FOUND


@pytest.mark.parametrize("options", [("--rate", "fast"), ("--at-once", "--canary", "3"), ("--canary", "0"), ()])
def test_replay_refuses_what_it_cannot_read(cli_environment: CliEnvironment, options: tuple[str, ...]) -> None:
    ids = ("1",) if options else ()
    assert cli_environment.run("dlq", "replay", *ids, *options).exit_code == Exit.USAGE


def test_filters_choose_dead_letters(cli_environment: CliEnvironment) -> None:
    cli_environment.fail(error_type="A")
    cli_environment.fail(error_type="B", job_type="shop.mail")

    def found(*options: str) -> list[int]:
        return [row["dlq_id"] for row in cli_environment.json("dlq", "list", *options)["dead_letters"]]

    assert found("--error", "A") == [1]
    assert found("--type", "shop.mail") == [2]
    assert found("--cluster", "f") == found("--since", "1h") == [2, 1]
    assert found("--cluster", "g") == []


# Resolving


def test_dead_letters_are_resolved_without_a_run(cli_environment: CliEnvironment) -> None:
    job_id = cli_environment.fail()
    cli_environment.fail()
    assert cli_environment.json("dlq", "resolve", "1", "--note", "a test order", "--by", "ann") == {"resolved": [1]}
    shown = cli_environment.json("dlq", "show", "1")
    assert (shown["resolution"], shown["note"], shown["resolved_by"]) == ("resolved", "a test order", "ann")
    assert cli_environment.status(job_id) == "FAILED"
    assert cli_environment.run("dlq", "resolve", "1").exit_code == Exit.CONFLICT
    assert cli_environment.run("dlq", "resolve", "9").exit_code == Exit.NOT_FOUND
    assert cli_environment.run("dlq", "resolve").exit_code == Exit.USAGE
    assert cli_environment.json("dlq", "resolve", "--cluster", "f", "--dry-run") == {"matching": 1}
    assert cli_environment.json("dlq", "resolve", "--cluster", "f") == {"resolved": [2]}


def test_resolved_ones_are_deleted_when_they_are_old_and_open_ones_never(
    cli_environment: CliEnvironment, database: Database
) -> None:
    for _ in range(5):
        cli_environment.fail()
    execute(database, "update @dead_letter_jobs set failed_at = '2020-01-01'")
    for days, which in ((31, "dlq_id <= 3"), (29, "dlq_id = 4")):
        at = NOW - timedelta(days=days)
        execute(
            database,
            f"update @dead_letter_jobs set resolution = 'resolved', resolved_at = '{at}' where {which}",
        )
    pruner = Pruner(database, days=30.0, batch=2)
    assert [pruner.run_once(NOW) for _ in range(3)] == [{"dead_letters": 2}, {"dead_letters": 1}, {}]
    assert [row["dlq_id"] for row in execute(database, "select dlq_id from @dead_letter_jobs order by 1")] == [4, 5]
    findings = {each["check"]: each for each in json.loads(cli_environment.run("doctor", "--json").stdout)}
    assert findings["dead letters"]["level"] == "warn"
    assert "1 are open for more than 30 days" in findings["dead letters"]["found"]
    assert judge_dead_letters(0, 30.0).level is Level.OK


def test_replays_are_deleted_with_their_jobs_a_batch_at_a_time(
    cli_environment: CliEnvironment, database: Database
) -> None:
    for _ in range(3):
        cli_environment.fail()
    for _ in range(2):
        cli_environment.json("dlq", "replay", "--type", "shop.charge")
    cli_environment.json("dlq", "replays", "cancel", "1")
    execute(database, f"update @replays set ended_at = '{NOW - timedelta(days=31)}' where replay_id = 1")
    pruner = Pruner(database, days=30.0, batch=2)
    assert [pruner.run_once(NOW) for _ in range(3)] == [{"replays": 2}, {"replays": 2}, {}]
    assert execute(database, "select replay_id, count(*) as jobs from @replay_jobs group by 1") == [
        {"replay_id": 2, "jobs": 3}
    ]


# Export and import


@pytest.fixture
def elsewhere(settings: Settings) -> Iterator[Database]:
    """Another installation."""
    made = Database(Settings(database_url=settings.database_url, schema=f"else_{uuid.uuid4().hex[:8]}"))
    migrate.upgrade(made)
    yield made
    migrate.downgrade(made)
    made.close()


def lines_of(database: Database, page: int = 500) -> list[dict[str, Any]]:
    with database.session() as session:
        found = [json.loads(line) for line in export(session, LetterFilter(open_only=False), page)]
    for line in found:
        for name in ("dlq_id", "last_execution_id", "replay_id"):
            del line[name]
    return found


@pytest.mark.owner
def test_a_dead_letter_goes_to_another_installation_and_runs_there(
    cli_environment: CliEnvironment, elsewhere: Database, tmp_path: Path
) -> None:
    file, other = tmp_path / "letters.jsonl", {"JOBPLATFORM_SCHEMA": elsewhere.schema}
    open_one = cli_environment.fail(
        payload=payload(order=1), queue="mail", priority=4, tags=("vip",), timeout=1.5, tenant="acme", units=3
    )
    execute(cli_environment.database, """update @jobs set message = '{"task_id": "x", "links": [1]}'""")
    cli_environment.fail()
    cli_environment.json("dlq", "resolve", "2")
    assert cli_environment.run("dlq", "export", "--all", "--output", str(file)).exit_code == 0
    assert len(cli_environment.run("dlq", "export").stdout.splitlines()) == 1
    for letters, jobs in ((2, 1), (0, 0)):
        result = cli_environment.run("dlq", "import", str(file), "--json", **other)
        assert json.loads(result.stdout) == {"lines": 2, "imported": letters, "jobs": jobs}
    assert [{**line, "job": None} for line in lines_of(elsewhere)] == [
        {**line, "job": None} for line in lines_of(cli_environment.database)
    ]
    assert lines_of(elsewhere)[0]["job"] == lines_of(cli_environment.database)[0]["job"]
    result = cli_environment.run("dlq", "replay", "1", "--json", **other)
    assert json.loads(result.stdout)[0]["outcome"] == "replayed"
    (job,) = execute(elsewhere, "select job_id::text, status, queue, payload, attempt, message from @jobs")
    assert job == {
        "job_id": open_one, "status": "PENDING", "queue": "mail", "payload": {"args": [], "kwargs": {"order": 1}},
        "attempt": 2, "message": {"task_id": "x", "links": [1]},
    }  # fmt: skip


@pytest.mark.owner
@pytest.mark.parametrize(("each", "first"), [(False, [5, None]), (True, 5)])
def test_the_results_that_a_job_takes_are_written_into_its_line(
    cli_environment: CliEnvironment, elsewhere: Database, each: bool, first: Any
) -> None:
    before = [cli_environment.add("COMPLETED"), cli_environment.add("FAILED")]
    execute(cli_environment.database, f"update @jobs set result = '5' where job_id = '{before[0]}'")
    job_id = cli_environment.fail(payload='{"args":[null,2],"kwargs":{}}')
    message = json.dumps({"task_id": job_id, "inputs": {"of": before, "each": each}})
    execute(cli_environment.database, f"update @jobs set message = '{message}' where job_id = '{job_id}'")
    (line,) = lines_of(cli_environment.database)
    assert (line["payload"]["args"], line["job"]["message"]) == ([first, 2], {"task_id": job_id})
    with elsewhere.transaction() as transaction:
        take(transaction, [json.dumps(line)])
    (job,) = execute(elsewhere, "select payload from @jobs")
    assert job["payload"]["args"] == [first, 2]
    refused = cli_environment.run("dlq", "edit", "1", "--set", "args[0]=7")
    assert (refused.exit_code, "results of other jobs" in refused.stderr) == (Exit.USAGE, True)


@pytest.mark.owner
def test_import_reads_standard_input(cli_environment: CliEnvironment, elsewhere: Database) -> None:
    from click.testing import CliRunner

    from jobplatform.cli import main

    cli_environment.fail()
    exported = cli_environment.run("dlq", "export").stdout
    env = {**cli_environment.env, "JOBPLATFORM_SCHEMA": elsewhere.schema}
    result: Result = CliRunner().invoke(main, ["dlq", "import", "-"], env=env, input=exported)
    assert (result.exit_code, result.stdout) == (0, "1 of 1 dead letters were new, and 1 of their jobs\n")


@pytest.mark.owner
@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"job_id": "x"}, "line 2: job_id: 'x' will not do; give a UUID"),
        ({"attempt": 0}, "line 2: attempt"),
        ({"attempt": True}, "line 2: attempt"),
        ({"reason": None}, "line 2: reason: it is missing"),
        ({"failed_at": "yesterday"}, "line 2: failed_at"),
        ({"payload": {"arguments": []}}, "line 2: payload (payload.arguments)"),
        ({"payload": []}, "line 2: payload"),
        ({"note": "a\0b"}, "line 2: $.note: it holds a NUL character"),
        ({"colour": 1}, "line 2: $.colour: there is no such field"),
        ({"version": 2}, "line 2: version: 2 is not 1"),
        ({"job": {"queue": "q", "priority": 9, "max_retries": 1}}, "line 2: job.priority"),
        ({"job": {"queue": "q", "priority": 1, "max_retries": 1, "x": 1}}, "line 2: job.x"),
        ({"resolution": "resolved"}, "line 2: resolved_at"),
    ],
)
def test_a_bad_line_is_named_and_nothing_is_written(
    cli_environment: CliEnvironment, elsewhere: Database, tmp_path: Path, change: dict[str, Any], complaint: str
) -> None:
    cli_environment.fail()
    good = cli_environment.run("dlq", "export").stdout
    (tmp_path / "bad").write_text(good + json.dumps({**json.loads(good), "attempt": 2, **change}))
    result = cli_environment.run("dlq", "import", str(tmp_path / "bad"), JOBPLATFORM_SCHEMA=elsewhere.schema)
    assert (result.exit_code, complaint in result.stderr) == (Exit.USAGE, True), result.stderr
    assert execute(elsewhere, "select 1 from @dead_letter_jobs union all select 1 from @jobs") == []


@pytest.mark.parametrize("bad", [b"{oops", b"[1]", b"\xff", b'{"version": NaN}'])
def test_what_is_no_line_at_all_is_refused(cli_environment: CliEnvironment, tmp_path: Path, bad: bytes) -> None:
    (tmp_path / "bad").write_bytes(bad)
    result = cli_environment.run("dlq", "import", str(tmp_path / "bad"))
    assert (result.exit_code, "line 1" in result.stderr) == (Exit.USAGE, True)


texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
numbers = st.integers(-(10**300), 10**300) | st.floats(allow_nan=False, allow_infinity=False)
odd = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda part: st.lists(part) | st.dictionaries(texts, part),
    max_leaves=8,
)


@pytest.mark.owner
@hypothesis_settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.dictionaries(texts, odd, max_size=4), min_size=1, max_size=5), st.integers(1, 3))
def test_odd_payloads_come_through_as_they_are(
    cli_environment: CliEnvironment, elsewhere: Database, payloads: list[dict[str, Any]], page: int
) -> None:
    for database in (cli_environment.database, elsewhere):
        execute(database, "truncate @dead_letter_jobs; truncate @jobs cascade")
    for kwargs in payloads:
        cli_environment.fail(payload=payload(x=kwargs))
    (first, *_) = execute(cli_environment.database, "select min(dlq_id) as dlq_id from @dead_letter_jobs")
    with cli_environment.database.transaction() as transaction:
        assert dead_letters.edit(transaction, first["dlq_id"], payload(y=payloads[0]), "ann")
    with cli_environment.database.session() as session:
        lines = list(export(session, LetterFilter(), page))
    with elsewhere.transaction() as transaction:
        assert take(transaction, lines) == (len(payloads), len(payloads))
        assert take(transaction, lines) == (0, 0)
    assert lines_of(elsewhere, page) == lines_of(cli_environment.database)
    stored = "select payload::text as text, edited_payload::text as edited from @dead_letter_jobs order by job_id"
    assert execute(elsewhere, stored) == execute(cli_environment.database, stored)
