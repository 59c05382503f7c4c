"""The group ``models``: what was learned, where it decides, and taking it back."""

from __future__ import annotations

from pathlib import Path

import click

from jobplatform.actions import models as actions
from jobplatform.cli.desk import open_desk
from jobplatform.cli.exits import CommandError, Exit, mapped
from jobplatform.cli.output import Output, json_option

_COLUMNS = ("version", "kind", "state", "trained_at", "rows", "skill", "reason")
_TYPE_COLUMNS = ("job_type", "decides", "since", "outcomes", "skill", "reason")
_SCORES = ("outcomes", "rule", "model", "skill", "low", "high", "gap", "auc", "ece")
_VERSION = click.IntRange(min=1, max=2**31 - 1)
_RETRY = "retry"
kind_option = click.option(
    "--kind",
    type=click.Choice(actions.KINDS),
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
    with open_desk() as (desk, actor):
        found = actions.list_models(desk, actor, kind, limit).rows
    if output.as_json:
        output.json(list(found))
    else:
        output.table(found, _COLUMNS, empty="nothing was learned yet")


@models.command("show")
@click.argument("version", type=_VERSION)
@json_option
@mapped()
def show_model(version: int, output: Output) -> None:
    """Show a model, how it did, and how far what comes now is from what it learned from."""
    with open_desk() as (desk, actor):
        shown, found = actions.show_model(desk, actor, version)
    if output.as_json:
        output.json({**shown, "drift": found.as_row() if found else None})
        return
    retries = shown["kind"] == _RETRY
    scores = {name: shown["metrics"].get(name) for name in _SCORES} if retries else shown["metrics"]
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
    tell = (lambda words: None) if output.as_json else output.note
    with open_desk() as (desk, actor):
        taught = actions.train(desk, actor, kind, tell)
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
    with open_desk() as (desk, actor):
        found = actions.evaluate(desk, actor, version)
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
    with open_desk() as (desk, actor):
        found, switch = actions.list_types(desk, actor)
    if output.as_json:
        output.json(list(found))
        return
    if switch != "auto":
        output.note(f"JOBPLATFORM_RETRY_MODEL is {switch}: the rule decides everywhere")
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
    with open_desk() as (desk, actor):
        reason = actions.promote(desk, actor, version, job_type)
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
    with open_desk() as (desk, actor):
        told = actions.retire(desk, actor, version, job_type, reason)
    _tell(version, job_type, "retired", told, output)


@models.command("trial")
@click.argument("job_type")
@json_option
@mapped()
def put_on_trial(job_type: str, output: Output) -> None:
    """Put a job type back on trial: its model decides again once it has won."""
    with open_desk() as (desk, actor):
        reason = actions.put_on_trial(desk, actor, job_type)
    _tell(None, job_type, "shadow", reason, output)


@models.command("report")
@click.argument("version", type=_VERSION)
@click.option("--output", "file", type=click.Path(dir_okay=False, path_type=Path), required=True, help="An HTML file.")
@mapped()
def report(version: int, file: Path) -> None:
    """Write a page on a model: calibration, gain by job type, and feature importance."""
    with open_desk() as (desk, actor):
        text = actions.report(desk, actor, version)
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandError(
            f"--output: {file} cannot be written ({error.strerror}); choose another", Exit.USAGE
        ) from error
    Output().note(f"written to {file}")


def _want_one(version: int | None, job_type: str | None) -> None:
    if (version is None) == (job_type is None):
        raise click.UsageError("say which: a VERSION, or --type and a job type")


def _tell(version: int | None, job_type: str | None, state: str, reason: str, output: Output) -> None:
    if output.as_json:
        output.json({"version": version, "job_type": job_type, "state": state, "reason": reason})
    else:
        output.line(f"{f'model {version}' if job_type is None else job_type} is {state}: {reason}")
