"""Models on the command line."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from command_line import CliEnvironment
from retries import add_model, add_retries, scribble

from jobplatform.cli.exits import Exit
from jobplatform.store import model_trials, models
from jobplatform.store.database import Database

TYPES = ("shop.charge", "shop.mail", "shop.ship", "shop.index", "shop.report")


@pytest.fixture
def version(database: Database) -> int:
    with database.transaction() as transaction:
        return add_model(transaction)


def trial(database: Database, job_type: str, **values: Any) -> None:
    row = {"job_type": job_type, "state": "shadow", "version": None, "since": time.time(), "reason": "on trial"}
    with database.transaction() as transaction:
        model_trials.write(transaction, [{**row, "score": {"outcomes": 120, "skill": 0.1}, "forced": False, **values}])


def test_a_model_is_trained_shown_evaluated_and_reported(
    cli_environment: CliEnvironment, database: Database, tmp_path: Path
) -> None:
    add_retries(database, 600, job_types=TYPES)
    made = cli_environment.json("models", "train")
    assert (made["version"], made["state"]) == (1, "shadow")
    assert made["skill"] > 0.1
    (row,) = cli_environment.json("models", "list")
    assert (row["version"], row["skill"], row["rows"]) == (1, made["skill"], 510)
    shown = cli_environment.json("models", "show", "1")
    assert shown["drift"] is None
    assert "spreads" not in shown["metrics"]
    found = cli_environment.json("models", "evaluate", "1")
    assert (found["outcomes"], found["skill"]) == (90, made["skill"])
    assert set(found["by_type"]) == set(TYPES)
    for command in (("list",), ("show", "1"), ("evaluate", "1"), ("types",)):
        assert cli_environment.run("models", *command).exit_code == Exit.OK
    file = tmp_path / "model.html"
    assert cli_environment.run("models", "report", "1", "--output", str(file)).exit_code == Exit.OK
    assert "<svg" in file.read_text()


def test_a_version_follows_an_active_one_only_if_it_is_no_worse(
    cli_environment: CliEnvironment, database: Database
) -> None:
    add_retries(database, 600, job_types=TYPES)
    cli_environment.json("models", "train")
    cli_environment.json("models", "promote", "1")
    # What it is measured on is as it was; what it learns from is not.
    scribble(
        database,
        """update @retry_decisions set outcome = case outcome when 'failed' then 'succeeded' else 'failed' end
        where decision_id <= (select max(decision_id) - 90 from @retry_decisions)""",
    )
    worse = cli_environment.json("models", "train")
    assert worse["state"] == "retired"
    assert worse["reason"].startswith("it is worse than what is in force: Brier score ")
    scribble(
        database,
        """update @retry_decisions set outcome = case outcome when 'failed' then 'succeeded' else 'failed' end
        where decision_id <= (select max(decision_id) - 90 from @retry_decisions)""",
    )
    same = cli_environment.json("models", "train")
    assert same["state"] == "active"
    assert [row["state"] for row in cli_environment.json("models", "list")] == ["active", "retired", "retired"]
    assert cli_environment.json("models", "show", "1")["reason"] == "version 3 took over"


def test_models_of_all_kinds_are_listed_shown_and_steered(cli_environment: CliEnvironment, database: Database) -> None:
    with database.transaction() as transaction:
        made = {kind: add_model(transaction, kind=kind, metrics={"auc": 0.9}) for kind in models.KINDS}
    assert [row["kind"] for row in cli_environment.json("models", "list")] == list(models.KINDS)[::-1]
    (row,) = cli_environment.json("models", "list", "--kind", models.HEALTH)
    assert (row["version"], row["state"]) == (made[models.HEALTH], "shadow")
    version = str(row["version"])
    assert cli_environment.json("models", "promote", version)["state"] == "active"
    assert cli_environment.json("models", "show", version)["state"] == "active"
    assert "auc" in cli_environment.run("models", "show", version).output
    assert cli_environment.json("models", "show", str(made[models.RETRY]))["state"] == "shadow"
    for command in (("evaluate", version), ("report", version, "--output", "model.html")):
        refused = cli_environment.run("models", *command)
        assert refused.exit_code == Exit.USAGE
        assert "it is of kind health" in refused.output


def test_two_trainings_of_other_kinds_are_in_nobodys_way(database: Database) -> None:
    with database.session() as one, database.session() as other:
        assert models.claim_training(one, models.DEMAND)
        assert not models.claim_training(other, models.DEMAND)
        assert all(models.claim_training(other, kind) for kind in models.KINDS if kind != models.DEMAND)


def test_a_training_with_nothing_to_learn_from_says_so(cli_environment: CliEnvironment) -> None:
    for kind in models.KINDS:
        said = cli_environment.run("models", "train", "--kind", kind)
        assert said.exit_code == Exit.FAILED, said.output
        assert "Traceback" not in said.output


def test_versions_are_promoted_and_retired(cli_environment: CliEnvironment, database: Database, version: int) -> None:
    cli_environment.json("models", "promote", str(version))
    trial(database, "shop.mail", state="active", version=version)
    assert cli_environment.json("models", "types")[0]["decides"] == f"model {version}"
    done = cli_environment.json("models", "retire", str(version), "--reason", "it is odd")
    assert done["reason"].endswith(": it is odd")
    (row,) = cli_environment.json("models", "types")
    assert (row["state"], row["decides"]) == ("shadow", "rule")
    assert "was retired" in row["reason"]
    again = cli_environment.run("models", "retire", str(version))
    assert (again.exit_code, "retired already" in again.stderr) == (Exit.CONFLICT, True)


def test_job_types_are_promoted_retired_and_tried(
    cli_environment: CliEnvironment, database: Database, version: int
) -> None:
    trial(database, "shop.mail")
    for arguments, state, decides, forced in (
        (("promote", "--type", "shop.mail"), "active", f"model {version}", True),
        (("retire", "--type", "shop.mail", "--reason", "sale"), "retired", "rule", True),
        (("trial", "shop.mail"), "shadow", "rule", False),
    ):
        assert cli_environment.json("models", *arguments)["state"] == state
        (row,) = cli_environment.json("models", "types")
        assert (row["state"], row["decides"], row["forced"]) == (state, decides, forced)
    cli_environment.json("models", "promote", "--type", "shop.mail")
    off = cli_environment.run("models", "types", JOBPLATFORM_RETRY_MODEL="off")
    assert "the rule decides everywhere" in off.stderr
    assert "model " not in off.stdout


def test_what_cannot_be_is_refused_with_what_to_do(
    cli_environment: CliEnvironment, database: Database, version: int, tmp_path: Path
) -> None:
    scribble(database, "update @models set window_to = now(), artifact = null")
    add_retries(database, 10)
    for arguments, code, words in (
        (("show", "99"), Exit.NOT_FOUND, "jobplatform models list"),
        (("evaluate", "99"), Exit.NOT_FOUND, "none of this version"),
        (("retire", "99"), Exit.NOT_FOUND, "none of this version"),
        (("promote",), Exit.USAGE, "a VERSION, or --type"),
        (("promote", "1", "--type", "a"), Exit.USAGE, "a VERSION, or --type"),
        (("promote", str(version)), Exit.CONFLICT, "choose a newer one"),
        (("evaluate", str(version)), Exit.FAILED, "wait for some"),
        (("train",), Exit.FAILED, "it takes 200"),
        (("report", str(version), "--output", str(tmp_path / "no" / "file")), Exit.USAGE, "choose another"),
    ):
        result = cli_environment.run("models", *arguments)
        assert (result.exit_code, words in result.stderr) == (code, True), result.stderr


def test_a_page_is_one_file_and_runs_nothing(
    cli_environment: CliEnvironment, database: Database, tmp_path: Path
) -> None:
    hostile = "<script>alert(1)</script>"
    metrics = {"skill": 0.2, "by_type": {hostile: {"skill": -0.1}}, "importance": {hostile: 1.0}}
    with database.transaction() as transaction:
        version = add_model(transaction, metrics=metrics, reason=hostile)
    trial(database, hostile, reason=hostile)
    file = tmp_path / "model.html"
    cli_environment.run("models", "report", str(version), "--output", str(file))
    text = file.read_text()
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert not [word for word in ("http://", "https://", "src=", "href=", "url(") if word in text]


def test_one_training_runs_at_a_time(cli_environment: CliEnvironment, database: Database) -> None:
    with database.session() as session:
        assert models.claim_training(session)
        result = cli_environment.run("models", "train")
    assert (result.exit_code, "another training runs" in result.stderr) == (Exit.FAILED, True)
