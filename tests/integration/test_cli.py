"""The command line against real servers."""

from __future__ import annotations

import json
import re
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from command_line import NOWHERE, CliEnvironment

from jobplatform.cli.exits import Exit
from jobplatform.maintenance.replayer import Replayer
from jobplatform.records import NewJob, new_job_id, row_of
from jobplatform.store import jobs, listing, migrate, new_jobs

HOSTILE = "\x1b]0;owned\x07\x1b[2Jwiped \u202egnp.exe"


def test_list_has_a_shape_that_programs_can_rely_on(cli_environment: CliEnvironment) -> None:
    job_id = cli_environment.add(tags=("vip",))
    page = cli_environment.json("jobs", "list")
    assert page["next"] is None
    (job,) = page["jobs"]
    assert job["job_id"] == job_id
    assert (job["job_type"], job["status"], job["tags"]) == ("shop.charge", "PENDING", ["vip"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", job["created_at"])


def test_an_empty_list_is_no_error(cli_environment: CliEnvironment) -> None:
    result = cli_environment.run("jobs", "list")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "no such jobs\n")
    assert cli_environment.json("jobs", "list") == {"jobs": [], "next": None}


def test_filters_choose(cli_environment: CliEnvironment) -> None:
    root = cli_environment.add(queue="ml", tags=("vip", "eu"))
    child = cli_environment.add(job_type="shop.mail", root_id=root)
    failed = cli_environment.fail(error_type="TimeoutError")

    def found(*arguments: str) -> set[str]:
        return {job["job_id"] for job in cli_environment.json("jobs", "list", *arguments)["jobs"]}

    assert found("--state", "failed") == found("--error", "TimeoutError") == {failed}
    assert found("--state", "FAILED", "--state", "PENDING") == found() == {root, child, failed}
    assert found("--type", "shop.mail") == {child}
    assert found("--queue", "ml") == found("--tag", "eu") == {root}
    assert found("--root", root) == {root, child}
    assert found("--since", "1h") == {root, child, failed}
    assert found("--until", "1h") == found("--tag", "e") == set()


def test_pages_have_no_gap_and_no_repeat_while_jobs_arrive(cli_environment: CliEnvironment) -> None:
    def add_together(count: int) -> list[str]:
        rows = [NewJob(new_job_id(), "t", "{}", "celery") for _ in range(count)]
        with cli_environment.database.transaction() as transaction:
            new_jobs.insert(transaction, map(row_of, rows))
        return [row.job_id for row in rows]

    # One transaction gives all of its rows the same created_at, so only the ids tell them apart.
    before = add_together(11) + add_together(1) + add_together(9)
    seen: list[str] = []
    cursor: list[str] = []
    while True:
        page = cli_environment.json("jobs", "list", "--limit", "4", *cursor)
        seen += [job["job_id"] for job in page["jobs"]]
        add_together(3)
        if page["next"] is None:
            break
        cursor = ["--page", page["next"]]
    assert len(seen) == len(set(seen)) == len(before)
    assert set(seen) == set(before)


def test_the_cursor_is_told_to_people_too(cli_environment: CliEnvironment) -> None:
    for _ in range(3):
        cli_environment.add()
    result = cli_environment.run("jobs", "list", "--limit", "2")
    assert len(result.stdout.splitlines()) == 3
    cursor = result.stderr.removeprefix("more: --page ").strip()
    assert len(cli_environment.json("jobs", "list", "--page", cursor)["jobs"]) == 1


def test_show_has_attempts_and_reasons(cli_environment: CliEnvironment) -> None:
    job_id = cli_environment.fail(message="card refused")
    job = cli_environment.json("jobs", "show", job_id)
    assert (job["status"], job["payload"]) == ("FAILED", {"args": [], "kwargs": {}})
    assert [(each["attempt_number"], each["error_message"]) for each in job["executions"]] == [(1, "card refused")]
    assert [(each["action"], each["reason"]) for each in job["retry_decisions"]] == [("dead_letter", "permanent")]
    text = cli_environment.run("jobs", "show", job_id).stdout
    assert "traceback of attempt 1:\n  Traceback:\n    card refused" in text


def test_hostile_text_is_shown_harmless(cli_environment: CliEnvironment) -> None:
    job_id = cli_environment.fail(error_type=HOSTILE, message=HOSTILE, payload=json.dumps({"args": [HOSTILE]}))
    for arguments in (("jobs", "list"), ("jobs", "show", job_id), ("dlq", "list"), ("dlq", "show", "1")):
        result = cli_environment.run(*arguments)
        assert result.exit_code == 0
        assert "wiped" in result.stdout
        assert not set(result.output) & set("\x1b\x07\u202e\x00")
    assert cli_environment.json("jobs", "show", job_id)["error_message"] == HOSTILE


def test_an_unknown_job_exits_with_3(cli_environment: CliEnvironment) -> None:
    for verb in ("show", "retry", "cancel"):
        result = cli_environment.run("jobs", verb, new_job_id())
        assert result.exit_code == Exit.NOT_FOUND
        assert "there is no such job; see: jobplatform jobs list" in result.stderr


def test_cancel_reaches_what_has_not_ended_and_names_the_state_of_others(cli_environment: CliEnvironment) -> None:
    waiting, scheduled = cli_environment.add(), cli_environment.add("SCHEDULED")
    running, ended = cli_environment.add("PROCESSING"), cli_environment.add("COMPLETED")
    done = cli_environment.json("jobs", "cancel", waiting, scheduled, running, "--reason", "a mistake")
    assert [row["outcome"] for row in done] == ["cancelled", "cancelled", "told to stop"]
    shown = cli_environment.json("jobs", "show", waiting)
    assert (shown["status"], shown["error_message"]) == ("CANCELLED", "a mistake")
    for job_id, status in ((ended, "COMPLETED"), (waiting, "CANCELLED")):
        result = cli_environment.run("jobs", "cancel", job_id)
        assert result.exit_code == Exit.CONFLICT
        assert f"{job_id} is {status}" in result.stderr


def test_retry_hastens_what_waits_and_replays_what_ended(cli_environment: CliEnvironment) -> None:
    later = time.time() + 3600
    waiting = cli_environment.add("SCHEDULED", due_at=later)
    failed = cli_environment.fail()
    done = cli_environment.add("COMPLETED")
    report = cli_environment.json("jobs", "retry", waiting, failed, done, code=Exit.CONFLICT)
    assert [row["outcome"] for row in report] == ["hastened", "replayed", "refused"]
    due = datetime.fromisoformat(cli_environment.json("jobs", "show", waiting)["due_at"])
    assert due - datetime.now(UTC) < timedelta(minutes=1)
    assert cli_environment.status(failed) == "PENDING"
    assert cli_environment.json("dlq", "list")["dead_letters"] == []


def test_dead_letters_are_listed_in_pages_and_shown(cli_environment: CliEnvironment) -> None:
    for number in range(5):
        cli_environment.fail(error_type=f"Error{number % 2}")
    first = cli_environment.json("dlq", "list", "--limit", "3")
    rest = cli_environment.json("dlq", "list", "--limit", "3", "--page", first["next"])
    ids = [row["dlq_id"] for row in first["dead_letters"] + rest["dead_letters"]]
    assert ids == sorted(set(ids), reverse=True) and len(ids) == 5 and rest["next"] is None
    assert len(cli_environment.json("dlq", "list", "--error", "Error1")["dead_letters"]) == 2
    assert cli_environment.json("dlq", "show", str(ids[0]))["reason"] == "permanent"
    assert cli_environment.run("dlq", "show", "999").exit_code == Exit.NOT_FOUND


def test_replay_by_id_resolves_once(cli_environment: CliEnvironment) -> None:
    job_id = cli_environment.fail()
    (letter,) = cli_environment.json("dlq", "list")["dead_letters"]
    dlq_id = str(letter["dlq_id"])
    plan = cli_environment.json("dlq", "replay", dlq_id, "--dry-run")
    assert (plan["jobs"], plan["by"][0]["job_type"], plan["by"][0]["refused"]) == (1, "shop.charge", 0)
    assert cli_environment.status(job_id) == "FAILED"
    assert cli_environment.json("dlq", "replay", dlq_id)[0]["outcome"] == "replayed"
    assert cli_environment.status(job_id) == "PENDING"
    assert cli_environment.json("dlq", "list")["dead_letters"] == []
    assert cli_environment.json("dlq", "list", "--all")["dead_letters"][0]["resolution"] == "replayed"
    result = cli_environment.run("dlq", "replay", dlq_id)
    assert (result.exit_code, "resolved already" in result.stderr) == (Exit.CONFLICT, True)
    assert cli_environment.run("dlq", "replay", "999").exit_code == Exit.NOT_FOUND


def test_replay_by_filter_takes_what_matches_up_to_the_limit(cli_environment: CliEnvironment) -> None:
    timeouts = [cli_environment.fail(error_type="TimeoutError") for _ in range(3)]
    other = cli_environment.fail(error_type="ValueError")
    result = cli_environment.run("dlq", "replay", "--error", "TimeoutError", "--limit", "2")
    assert (result.exit_code, result.stdout) == (0, "replay 1 of 2 jobs\n")
    assert "jobplatform dlq replays show 1" in result.stderr
    replayer = Replayer(cli_environment.database)
    replayer.run_once(datetime.now(UTC))
    assert [cli_environment.status(job_id) for job_id in timeouts] == ["PENDING", "PENDING", "FAILED"]
    assert cli_environment.json("dlq", "replay", "--error", "TimeoutError")["jobs"] == 1
    replayer.run_once(datetime.now(UTC))
    assert {cli_environment.status(job_id) for job_id in timeouts} == {"PENDING"}
    assert cli_environment.json("dlq", "replay", "--error", "TimeoutError") == {"replay_id": None, "jobs": 0}
    assert cli_environment.status(other) == "FAILED"


def test_replay_refuses_a_dead_letter_whose_job_is_gone(cli_environment: CliEnvironment) -> None:
    cli_environment.fail()
    with cli_environment.database.engine.begin() as connection:
        connection.exec_driver_sql(f'delete from "{cli_environment.database.schema}".jobs')
    report = cli_environment.json("dlq", "replay", "1", code=Exit.CONFLICT)
    assert report[0]["outcome"] == "refused"
    assert len(cli_environment.json("dlq", "list")["dead_letters"]) == 1


def test_counting_stops_at_the_cap(cli_environment: CliEnvironment) -> None:
    for _ in range(3):
        cli_environment.add()
    with cli_environment.database.session() as session:
        counts = listing.count_by_state(session, cap=2)
    assert (counts["PENDING"], counts["FAILED"], len(counts)) == (2, 0, 9)


@pytest.mark.owner
def test_migrate_goes_up_and_down_and_tells_where_it_is(cli_environment: CliEnvironment) -> None:
    head = migrate.head()
    shown = cli_environment.json("migrate", "--show")
    assert shown == {"schema": cli_environment.database.schema, "current": head, "head": head}
    assert cli_environment.json("migrate", "--down", "base")["current"] is None
    result = cli_environment.run("jobs", "list")
    assert (result.exit_code, "run: jobplatform migrate" in result.stderr) == (Exit.CONFLICT, True)
    assert cli_environment.run("migrate", "--to", "9999").exit_code == Exit.USAGE
    assert cli_environment.json("migrate")["current"] == head


@pytest.mark.parametrize("arguments", [("jobs", "list"), ("dlq", "list"), ("migrate", "--show")])
def test_a_database_that_is_away_exits_with_5_in_one_line(
    cli_environment: CliEnvironment, arguments: tuple[str, ...]
) -> None:
    result = cli_environment.run(*arguments, DATABASE_URL=NOWHERE)
    assert result.exit_code == Exit.UNREACHABLE
    assert result.stderr.count("\n") == 1
    assert "check DATABASE_URL" in result.stderr


def test_without_any_database_the_fix_is_named(cli_environment: CliEnvironment) -> None:
    for arguments in (("jobs", "list"), ("env",)):
        result = cli_environment.run(*arguments, DATABASE_URL="", REDIS_URL="")
        assert (result.exit_code, "jobplatform up" in result.stderr) == (Exit.UNREACHABLE, True)


def test_a_bad_setting_is_wrong_usage(cli_environment: CliEnvironment) -> None:
    result = cli_environment.run("jobs", "list", JOBPLATFORM_LEASE_SECONDS="soon")
    assert (result.exit_code, "JOBPLATFORM_LEASE_SECONDS" in result.stderr) == (Exit.USAGE, True)


def test_commands_use_the_stack_that_is_up(cli_environment: CliEnvironment, monkeypatch: pytest.MonkeyPatch) -> None:
    from jobplatform.devstack.stack import StackInfo

    info = StackInfo(1, cli_environment.env["DATABASE_URL"], cli_environment.env["REDIS_URL"])
    monkeypatch.setattr("jobplatform.devstack.stack.read_running", lambda directory: info)
    unset = {"DATABASE_URL": "", "REDIS_URL": ""}
    assert cli_environment.run("jobs", "list", **unset).exit_code == 0
    result = cli_environment.run("env", **unset)
    assert result.stdout.splitlines()[0].startswith("export DATABASE_URL=")
    assert json.loads(cli_environment.run("env", "--json", **unset).stdout) == info.environment()


@pytest.mark.parametrize(("status", "code"), [("COMPLETED", 0), ("FAILED", 1), ("CANCELLED", 1)])
def test_submit_waits_for_the_end(
    cli_environment: CliEnvironment, monkeypatch: pytest.MonkeyPatch, status: str, code: int
) -> None:
    job_id = cli_environment.add()
    monkeypatch.setattr("jobplatform.cli.submit._submit", lambda *arguments: job_id)

    def finish() -> None:
        news = {"job_id": job_id, "attempt": 1, "rank": 3, "status": status, "result": {"sum": 3}}
        with cli_environment.database.transaction() as transaction:
            jobs.apply_transitions(transaction, [news])

    timer = threading.Timer(0.2, finish)
    timer.start()
    result = cli_environment.run("submit", "math.add", '{"x": 1}', "--wait", "--timeout", "20s", "--json")
    timer.join()
    assert result.exit_code == code
    report = json.loads(result.stdout)
    assert (report["job_id"], report["status"], report["result"]) == (job_id, status, {"sum": 3})


def test_submit_gives_up_waiting_and_says_that_the_job_goes_on(
    cli_environment: CliEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = cli_environment.add()
    monkeypatch.setattr("jobplatform.cli.submit._submit", lambda *arguments: job_id)
    result = cli_environment.run("submit", "math.add", "--wait", "--timeout", "100ms")
    assert result.exit_code == Exit.FAILED
    assert f"{job_id} is PENDING; it goes on" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("m.f", "{oops"),
        ("m.f", "{}", "--priority", "9"),
        ("m.f", "--in", "1s", "--at", "2030-01-01"),
        ("m.f", "--timeout", "1s"),
    ],
)
def test_submit_refuses_what_it_cannot_read(cli_environment: CliEnvironment, arguments: tuple[str, ...]) -> None:
    assert cli_environment.run("submit", *arguments).exit_code == Exit.USAGE


def test_jobs_is_a_command_of_celery_too(cli_environment: CliEnvironment, tmp_path: Path) -> None:
    job_id = cli_environment.add()
    (tmp_path / "someapp.py").write_text("from celery import Celery\napp = Celery(broker='memory://')\n")
    run = cli_environment.spawn(tmp_path, "celery", "-A", "someapp", "jobs", "list", "--json")
    assert run.returncode == 0, run.stderr
    assert [job["job_id"] for job in json.loads(run.stdout)["jobs"]] == [job_id]


def test_submit_writes_the_row_that_was_asked_for(cli_environment: CliEnvironment, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(
        "from jobplatform import job\n\n@job(name='shop.charge', queue='celery')\n"
        "def charge(order: int) -> int:\n    return order\n"
    )
    cli_environment.env["JOBPLATFORM_IMPORTS"] = "shop"
    submit = ("jobplatform", "submit", "shop.charge")
    now = cli_environment.spawn(
        tmp_path, *submit, '{"order": 7}', "--priority", "4", "--tenant", "acme", "--tag", "vip"
    )
    later = cli_environment.spawn(tmp_path, *submit, "[8]", "--in", "1h", "--json")
    refused = cli_environment.spawn(tmp_path, *submit, '{"ordre": 7}')
    assert (now.returncode, later.returncode) == (0, 0), now.stderr + later.stderr
    job = cli_environment.json("jobs", "show", now.stdout.strip())
    assert (job["job_type"], job["status"], job["priority"]) == ("shop.charge", "PENDING", 4)
    assert (job["tenant"], job["tags"]) == ("acme", ["vip"])
    assert job["payload"] == {"args": [], "kwargs": {"order": 7}}
    job = cli_environment.json("jobs", "show", json.loads(later.stdout)["job_id"])
    assert (job["status"], job["payload"]["args"]) == ("SCHEDULED", [8])
    assert (refused.returncode, refused.stderr.count("\n")) == (Exit.USAGE, 1), refused.stderr
    assert "ordre" in refused.stderr
    cli_environment.env["JOBPLATFORM_IMPORTS"] = "no_such_module"
    refused = cli_environment.spawn(tmp_path, *submit)
    assert (refused.returncode, "no_such_module" in refused.stderr) == (Exit.USAGE, True)
