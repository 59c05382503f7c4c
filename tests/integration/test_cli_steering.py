"""The commands that steer: which jobs they choose, what they say, and the same from code."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery import Celery
from command_line import CliEnvironment

import jobplatform
from jobplatform.errors import JobOptionError, JobPlatformError, UnknownQueue
from jobplatform.jobs.attach import attach
from jobplatform.settings import Settings


@pytest.fixture
def app(settings: Settings, cli_environment: CliEnvironment) -> Iterator[Any]:
    made = attach(Celery("steering", set_as_current=False), settings)
    yield made
    made.jobplatform.close()
    made.close()


@pytest.mark.parametrize(
    "arguments, said",
    [
        (("cancel",), "nothing says which jobs"),
        (("pause", "01890a5d-ac96-774b-bcce-b302099a8057", "--type", "t"), "ids and a filter"),
        (("move", "01890a5d-ac96-774b-bcce-b302099a8057"), "nothing says where"),
        (("move", "01890a5d-ac96-774b-bcce-b302099a8057", "--priority", "6"), "6 is not in the range"),
        (("pause", "--type", "t", "--resume-at", "soon"), "'soon' cannot be read"),
    ],
)
def test_a_command_that_says_too_little_is_refused(
    cli_environment: CliEnvironment, arguments: tuple[str, ...], said: str
) -> None:
    result = cli_environment.run("jobs", *arguments)
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_filter_reaches_every_page(cli_environment: CliEnvironment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobplatform.actions.steering.PAGE", 3)
    chosen = [cli_environment.add(queue="reports") for _ in range(8)]
    left = cli_environment.add()
    assert cli_environment.json("jobs", "pause", "--queue", "reports", "--dry-run") == {"matching": 8}
    assert cli_environment.status(chosen[0]) == "PENDING"
    assert cli_environment.json("jobs", "pause", "--queue", "reports") == {"paused": 8}
    assert cli_environment.json("jobs", "pause", "--queue", "reports") == {"matching": 0}
    assert cli_environment.json("jobs", "resume", "--type", "shop.charge", "--state", "paused") == {"resumed": 8}
    assert cli_environment.json("jobs", "move", "--queue", "reports", "--to", "celery") == {"moved": 8}
    assert {cli_environment.status(job_id) for job_id in [*chosen, left]} == {"PENDING"}


def test_many_jobs_are_changed_only_after_a_yes(
    cli_environment: CliEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobplatform.cli.selection._MANY", 2)
    chosen = [cli_environment.add() for _ in range(3)]
    result = cli_environment.run("jobs", "cancel", "--type", "shop.charge")
    assert result.exit_code == 1
    assert "3 jobs match; go on?" in result.stderr
    assert {cli_environment.status(job_id) for job_id in chosen} == {"PENDING"}
    assert cli_environment.json("jobs", "cancel", "--type", "shop.charge", "--yes") == {"cancelled": 3}


def test_a_bulk_action_is_tried_asked_for_shown_and_cancelled(
    cli_environment: CliEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobplatform.cli.selection._MANY", 2)
    chosen = {cli_environment.add(queue="reports") for _ in range(3)}
    cli_environment.add()
    move = ("bulk", "start", "move", "queue:reports", "--to", "celery")
    tried = cli_environment.json(*move, "--dry-run")
    assert (tried["jobs"], {row["job_id"] for row in tried["sample"]}) == (3, chosen)
    assert "3 jobs match; go on?" in cli_environment.run(*move).stderr
    assert cli_environment.json("bulk", "list")["bulk_actions"] == []
    bulk_id = str(cli_environment.json(*move, "--yes", "--reason", "a calmer queue")["bulk_id"])
    (row,) = cli_environment.json("bulk", "list")["bulk_actions"]
    assert (row["action"], row["wish"], row["expected"], row["reason"]) == (
        "jobs.move", {"queue": "celery"}, 3, "a calmer queue",
    )  # fmt: skip
    assert cli_environment.json("bulk", "cancel", bulk_id)["status"] == "cancelled"
    assert cli_environment.json("bulk", "show", bulk_id)["jobs"] == 0
    assert "cancelled already" in cli_environment.run("bulk", "cancel", bulk_id).stderr
    assert "takes no such value" in cli_environment.run("bulk", "start", "retry", "queue:reports", "--to", "x").stderr


def test_a_filter_without_states_retries_what_failed(cli_environment: CliEnvironment) -> None:
    failed, cancelled = cli_environment.fail(), cli_environment.add()
    cli_environment.json("jobs", "cancel", cancelled)
    assert cli_environment.json("jobs", "retry", "--type", "shop.charge") == {"replayed": 1}
    assert [cli_environment.status(job_id) for job_id in (failed, cancelled)] == ["PENDING", "CANCELLED"]


def test_a_job_that_cannot_be_held_is_named(cli_environment: CliEnvironment) -> None:
    waiting, ended = cli_environment.add(), cli_environment.add()
    cli_environment.json("jobs", "cancel", ended)
    result = cli_environment.run("jobs", "pause", waiting, ended)
    assert result.exit_code == 4
    assert f"job {ended} is CANCELLED; only jobs that wait or run can be paused" in result.stderr
    assert cli_environment.status(waiting) == "PAUSED"
    assert cli_environment.run("jobs", "resume", ended).exit_code == 4


def test_a_hold_says_who_why_and_until_when(cli_environment: CliEnvironment) -> None:
    job_id = cli_environment.add()
    cli_environment.json("jobs", "pause", job_id, "--reason", "lunch", "--by", "ann", "--resume-at", "2h")
    row = cli_environment.json("jobs", "show", job_id)
    assert (row["hold_reason"], row["hold_by"]) == ("lunch", "ann")
    left = datetime.fromisoformat(row["hold_until"]) - datetime.now(UTC)
    assert timedelta(hours=1, minutes=55) < left <= timedelta(hours=2)


@pytest.mark.parametrize("group", ["queues", "types"])
def test_what_is_paused_is_listed_and_resumed(cli_environment: CliEnvironment, group: str) -> None:
    until = "2030-01-31T12:00:00Z"
    said = cli_environment.run(
        group, "pause", "a", "b", "--reason", "moving house", "--by", "ann", "--resume-at", until
    )
    assert said.exit_code == 0
    assert "no worker that is alive takes" in said.stderr
    listed = cli_environment.json(group, "list")[group]
    rows = {row["name"]: (row["paused"], row["reason"], row["paused_by"]) for row in listed if row["paused"]}
    assert rows == dict.fromkeys("ab", (True, "moving house", "ann"))
    assert "moving house" in cli_environment.run(group, "list").stdout
    assert cli_environment.json(group, "resume", "a") == [{"name": "a", "outcome": "resumed"}]
    again = cli_environment.run(group, "resume", "a", "b")
    assert again.exit_code == 4
    assert "a is not paused" in again.stderr
    assert not [row for row in cli_environment.json(group, "list")[group] if row["paused"]]


def test_another_broker_cannot_be_told_what_is_paused(cli_environment: CliEnvironment) -> None:
    result = cli_environment.run("queues", "pause", "celery", JOBPLATFORM_BROKER_URL="memory://")
    assert result.exit_code == 1
    assert "cannot be told what is paused" in result.stderr


def test_code_steers_as_the_command_line_does(cli_environment: CliEnvironment, app: Any) -> None:
    root = cli_environment.add()
    child = cli_environment.add(parent_id=root, root_id=root)
    until = datetime.now(UTC) + timedelta(hours=1)
    assert jobplatform.pause(root, child, reason="later", until=until, app=app) == {root: "PENDING", child: "PENDING"}
    assert cli_environment.json("jobs", "show", root)["hold_reason"] == "later"
    assert jobplatform.resume(child, app=app) == {child: "PAUSED"}
    assert jobplatform.move(child, priority=4, app=app) == {child: "PENDING"}
    assert jobplatform.cancel(root, cascade=True, app=app) == {root: "PAUSED", child: "PENDING"}
    jobplatform.pause_queue("celery", reason="lunch", app=app)
    jobplatform.pause_type("shop.charge", app=app)
    assert [row["reason"] for row in cli_environment.json("queues", "list")["queues"] if row["paused"]] == ["lunch"]
    assert jobplatform.resume_queue("celery", app=app) is jobplatform.resume_type("shop.charge", app=app) is True
    assert jobplatform.resume_queue("celery", app=app) is False


def test_code_that_steers_wrongly_is_refused(cli_environment: CliEnvironment, app: Any, settings: Settings) -> None:
    job_id = cli_environment.add()
    with pytest.raises(UnknownQueue, match="'celeri' is not declared; did you mean 'celery'"):
        jobplatform.move(job_id, queue="celeri", app=app)
    with pytest.raises(JobOptionError, match="priority"):
        jobplatform.move(job_id, priority=9, app=app)
    other = Celery("other", set_as_current=False, broker="memory://")
    attach(other, settings)
    with pytest.raises(JobPlatformError, match="only the Redis transport"):
        jobplatform.pause_queue("celery", app=other)
    assert cli_environment.json("jobs", "show", job_id)["attempt"] == 1
