"""The group ``models``: what was learned, where it decides, and taking it back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from jobplatform.cli.connect import open_database, require_settings
from jobplatform.cli.exits import CommandError, Exit, mapped
from jobplatform.cli.holding import operator
from jobplatform.cli.output import Output, json_option
from jobplatform.errors import ModelNotFound, TransitionRefused
from jobplatform.store import model_trials
from jobplatform.store import models as rows
from jobplatform.store.database import Transaction

if TYPE_CHECKING:
    from jobplatform.learning.drift import Drift

_COLUMNS = ("version", "kind", "state", "trained_at", "rows", "skill", "reason")
_TYPE_COLUMNS = ("job_type", "decides", "since", "outcomes", "skill", "reason")
_SCORES = ("outcomes", "rule", "model", "skill", "low", "high", "gap", "auc", "ece")
_VERSION = click.IntRange(min=1, max=2**31 - 1)
_DRIFT_ROWS = 1_000
_MISSING = "model {}: there is none of this version; see: jobplatform models list"

Row = Mapping[str, Any]
kind_option = click.option(
    "--kind",
    type=click.Choice(rows.KINDS),
    help="Of what is foretold: what comes of retries, how long jobs take, how many there will be, which workers fail.",
)
job_type_option = click.option("--type", "job_type", help="This job type, whatever the version.")


@click.group(short_help="List, train, judge and steer what learns.")
def models() -> None:
    """List, train, judge and steer the models of retries, durations, demand and health.

    A model decides where it was better than the rule on what it did not learn from. One of retries first only says what
    it would do (shadow); it decides on a job type once it has won there, and goes back when it loses. Everything here
    counts within seconds, without a restart.
    """


@models.command("list")
@kind_option
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="Rows at most.")
@json_option
@mapped()
def list_models(kind: str | None, limit: int, output: Output) -> None:
    """List models, newest first, and how each did on what it did not learn from."""
    with open_database() as database, database.session() as session:
        found = [_brief(row) for row in rows.newest(session, [kind] if kind else rows.KINDS, limit)]
    if output.as_json:
        output.json(found)
    else:
        output.table(found, _COLUMNS, empty="nothing was learned yet")


@models.command("show")
@click.argument("version", type=_VERSION)
@json_option
@mapped()
def show_model(version: int, output: Output) -> None:
    """Show a model, how it did, and how far what comes now is from what it learned from."""
    with open_database() as database, database.session() as session:
        row = _require(session, version)
        found = _drift(session, row)
    shown = {**row, "metrics": {name: value for name, value in row["metrics"].items() if name != "spreads"}}
    if output.as_json:
        output.json({**shown, "drift": found.as_row() if found else None})
        return
    retries = row["kind"] == rows.RETRY
    scores = {name: row["metrics"].get(name) for name in _SCORES} if retries else row["metrics"]
    output.record({**{name: shown[name] for name in shown if name not in ("metrics", "calibration")}, **scores})
    if found:
        shifts = [{"feature": name, "psi": round(shift, 3)} for name, shift in list(found.shifts.items())[:10]]
        output.section(f"drift over {found.rows} newer outcomes", shifts, ("feature", "psi"))
        for words in found.complaints():
            output.note(words)


@models.command("train")
@kind_option
@json_option
@mapped()
def train_model(kind: str | None, output: Output) -> None:
    """Train a model now, of retries unless another kind is named."""
    from jobplatform.learning.lessons import teach

    settings, tell = require_settings(), (lambda words: None) if output.as_json else output.note
    with open_database(settings) as database:
        taught = teach(kind or rows.RETRY, database, settings, tell)
    report = {"version": taught.version, "state": taught.state, "reason": taught.reason}
    if output.as_json:
        output.json({**report, **taught.metrics})
    else:
        output.record(report)


@models.command("evaluate")
@click.argument("version", type=_VERSION)
@json_option
@mapped()
def evaluate_model(version: int, output: Output) -> None:
    """Measure a model against the rule, on the newest outcomes that it did not learn from."""
    from jobplatform.learning.lesson import evaluate, metrics_of

    with open_database() as database, database.session() as session:
        found = metrics_of(evaluate(session, _require_of_retries(session, version)))
    if output.as_json:
        output.json({"version": version, **found})
        return
    output.record({name: found[name] for name in _SCORES})
    by_type = [{"job_type": name, **score} for name, score in found["by_type"].items()]
    output.section("by job type", by_type, ("job_type", "outcomes", "rule", "model", "skill", "low"))


@models.command("types")
@json_option
@mapped()
def list_types(output: Output) -> None:
    """List who decides on the retries of each job type, and why."""
    settings = require_settings()
    with open_database(settings) as database, database.session() as session:
        found = [_decides(row, settings.retry_model) for row in model_trials.all_trials(session)]
    if output.as_json:
        output.json(found)
        return
    if settings.retry_model != "auto":
        output.note(f"JOBPLATFORM_RETRY_MODEL is {settings.retry_model}: the rule decides everywhere")
    output.table(found, _TYPE_COLUMNS, empty="no retries were tried yet")


@models.command("promote")
@click.argument("version", type=_VERSION, required=False)
@job_type_option
@json_option
@mapped()
def promote(version: int | None, job_type: str | None, output: Output) -> None:
    """Put a version in force, or let models decide on a job type before they have won there.

    A job type that was promoted so goes back to the rule when its model loses.
    """
    _want_one(version, job_type)
    reason = f"promoted by {operator()}"
    with open_database() as database, database.transaction() as transaction:
        if version is None:
            _put(transaction, job_type, "active", reason)
        else:
            _require(transaction, version)
            if not rows.promote(transaction, version, reason):
                raise TransitionRefused(f"model {version}: its artifact is not kept any more; choose a newer one")
    _tell(version, job_type, "active", reason, output)


@models.command("retire")
@click.argument("version", type=_VERSION, required=False)
@job_type_option
@click.option("--reason", default="", help="Shown with it.")
@json_option
@mapped()
def retire(version: int | None, job_type: str | None, reason: str, output: Output) -> None:
    """Take a version out of use, or leave a job type to the rule until somebody says otherwise."""
    _want_one(version, job_type)
    reason = f"retired by {operator()}{': ' if reason else ''}{reason}"
    with open_database() as database, database.transaction() as transaction:
        if version is None:
            _put(transaction, job_type, "retired", reason)
        else:
            _require(transaction, version)
            if not rows.retire(transaction, version, reason):
                raise TransitionRefused(f"model {version} is retired already")
    _tell(version, job_type, "retired", reason, output)


@models.command("trial")
@click.argument("job_type")
@json_option
@mapped()
def put_on_trial(job_type: str, output: Output) -> None:
    """Put a job type back on trial: its model decides again once it has won."""
    reason = f"on trial, as {operator()} wanted"
    with open_database() as database, database.transaction() as transaction:
        _put(transaction, job_type, "shadow", reason)
    _tell(None, job_type, "shadow", reason, output)


@models.command("report")
@click.argument("version", type=_VERSION)
@click.option("--output", "file", type=click.Path(dir_okay=False, path_type=Path), required=True, help="An HTML file.")
@mapped()
def report(version: int, file: Path) -> None:
    """Write a page on a model: calibration, gain by job type, and feature importance."""
    from jobplatform.learning.report import page

    with open_database() as database, database.session() as session:
        text = page(_require_of_retries(session, version), model_trials.all_trials(session))
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandError(
            f"--output: {file} cannot be written ({error.strerror}); choose another", Exit.USAGE
        ) from error
    Output().note(f"written to {file}")


def _require(session: Transaction, version: int) -> Row:
    row = rows.show(session, version)
    if row is None:
        raise ModelNotFound(_MISSING.format(version))
    return row


def _require_of_retries(session: Transaction, version: int) -> Row:
    row = _require(session, version)
    if row["kind"] != rows.RETRY:
        raise CommandError(
            f"model {version}: it is of kind {row['kind']}, this is for those of retries; see: jobplatform models show",
            Exit.USAGE,
        )
    return row


def _drift(session: Transaction, row: Row) -> Drift | None:
    """Tell how far what comes now is from what a model of retries learned from."""
    if row["kind"] != rows.RETRY:
        return None
    from jobplatform.learning.drift import drift

    return drift(row["metrics"].get("spreads", {}), rows.examples(session, row["window_to"], _DRIFT_ROWS))


def _want_one(version: int | None, job_type: str | None) -> None:
    if (version is None) == (job_type is None):
        raise click.UsageError("say which: a VERSION, or --type and a job type")


def _put(transaction: Transaction, job_type: str | None, state: str, reason: str) -> None:
    """Write an operator's word on a job type; the controller reads it within seconds."""
    head = rows.in_force(transaction)
    row: dict[str, Any] = {
        "job_type": job_type,
        "state": state,
        "since": datetime.now(UTC).timestamp(),
        "reason": reason,
    }
    row |= {"version": head and head["version"], "score": {}, "forced": state != "shadow"}
    model_trials.write(transaction, [row])


def _tell(version: int | None, job_type: str | None, state: str, reason: str, output: Output) -> None:
    if output.as_json:
        output.json({"version": version, "job_type": job_type, "state": state, "reason": reason})
    else:
        output.line(f"{f'model {version}' if job_type is None else job_type} is {state}: {reason}")


def _brief(row: Row) -> dict[str, Any]:
    metrics = row["metrics"]
    kept = {name: value for name, value in row.items() if name not in ("metrics", "calibration", "features")}
    return {**kept, "base_rate": round(row["base_rate"], 4), "skill": metrics.get("skill"), "gap": metrics.get("gap")}


def _decides(row: Row, retry_model: str) -> dict[str, Any]:
    learned = row["state"] == "active" and retry_model == "auto" and row["version"] is not None
    score = row["score"]
    return {
        **row,
        "since": datetime.fromtimestamp(row["since"], UTC) if row["since"] else None,
        "decides": f"model {row['version']}" if learned else "rule",
        "outcomes": score.get("outcomes"),
        "skill": score.get("skill"),
    }
