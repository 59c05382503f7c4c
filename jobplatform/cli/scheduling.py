"""The commands of the group ``schedules`` that change schedules."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import click

from jobplatform.actions import schedule_edits as edits
from jobplatform.actions import schedules as actions
from jobplatform.cli.desk import open_desk
from jobplatform.cli.exits import mapped
from jobplatform.cli.holding import holding
from jobplatform.cli.output import Output, json_option
from jobplatform.cli.parameters import DURATION, SINCE
from jobplatform.jobs.schedule import Misfire, Overlap
from jobplatform.store.pauses import Hold

_NAMES = click.argument("names", nargs=-1, required=True, metavar="NAME...")
_PLAN_COLUMNS = ("name", "missed_since", "makes_up_for", "next_run")
#: From so many on, who asks is asked back.
_MANY = 100
_TIMES = ("misfire_grace", "misfire_window", "jitter", "spread")
_OPTIONS = (
    click.option("--timezone", help="An IANA name, such as Europe/Berlin.  [default: UTC]"),
    click.option("--payload", help="The arguments as JSON: an object by name, a list by position."),
    click.option("--queue", help="The queue of its jobs.  [default: celery]"),
    click.option("--priority", type=click.IntRange(1, 5), help="1 to 5; 5 is the most urgent.  [default: 1]"),
    click.option(
        "--misfire", type=click.Choice([*map(str, Misfire)]), help="What becomes of missed times.  [default: once]"
    ),
    click.option("--misfire-grace", type=DURATION, help="By so much a time may be late.  [default: 60s]"),
    click.option("--misfire-window", type=DURATION, help="How far back 'window' goes.  [default: 1h]"),
    click.option("--misfire-cap", type=click.IntRange(0), help="The most that 'window' makes up for.  [default: 100]"),
    click.option(
        "--overlap", type=click.Choice([*map(str, Overlap)]), help="While a job before runs.  [default: skip]"
    ),
    click.option("--jitter", type=DURATION, help="Each fire comes later by up to so much."),
    click.option("--spread", type=DURATION, help="All fires come later by up to so much, by the name."),
)


def _described(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.command("add")
@click.argument("name")
@click.argument("job_type")
@click.argument("cron")
@_described
@json_option
@mapped()
def add(name: str, job_type: str, cron: str, output: Output, **values: Any) -> None:
    """Add a schedule: five fields of CRON, @daily and the like, or @every 90s."""
    with open_desk() as (desk, actor):
        edits.add(desk, actor, name, job_type, cron, _says(values))
    _report([name], "added", output)


@click.command("change")
@click.argument("name")
@click.option("--cron", help="When it fires.")
@_described
@json_option
@mapped()
def change(name: str, cron: str | None, output: Output, **values: Any) -> None:
    """Change a schedule; what is not given stays."""
    with open_desk() as (desk, actor):
        edits.change_schedule(desk, actor, name, cron, _says(values))
    _report([name], "changed", output)


@click.command("pause")
@_NAMES
@holding
@json_option
@mapped()
def pause(names: tuple[str, ...], hold: Hold, output: Output) -> None:
    """Let schedules fire no more."""
    with open_desk() as (desk, actor):
        actions.pause(desk, actor, names, hold)
    _report(names, "paused", output)


@click.command("resume")
@_NAMES
@click.option("--dry-run", is_flag=True, help="Change nothing; tell what would be made up for.")
@json_option
@mapped()
def resume(names: tuple[str, ...], dry_run: bool, output: Output) -> None:
    """Let schedules fire again, and tell what each makes up for."""
    with open_desk() as (desk, actor):
        plans = actions.resume(desk, actor, names, dry_run)
    if output.as_json:
        output.json(plans)
    else:
        output.table(plans, _PLAN_COLUMNS, empty="")


@click.command("run")
@_NAMES
@json_option
@mapped()
def run(names: tuple[str, ...], output: Output) -> None:
    """Run schedules now, whatever their time, their pauses and their jobs before."""
    with open_desk() as (desk, actor):
        report = actions.run(desk, actor, names)
    if output.as_json:
        output.json(report)
    else:
        output.table(report, ("name", "job_id"), empty="")


@click.command("remove")
@_NAMES
@json_option
@mapped()
def remove(names: tuple[str, ...], output: Output) -> None:
    """Remove schedules; their jobs stay."""
    with open_desk() as (desk, actor):
        actions.remove(desk, actor, names)
    _report(names, "removed", output)


@click.command("backfill")
@click.argument("name")
@click.option("--since", type=SINCE, required=True, help="The first time: a duration before now such as 7d, or ISO.")
@click.option("--until", type=SINCE, default="0s", help="The last time, alike.  [default: now]")
@click.option("--in-turn", is_flag=True, help="Each job waits for the end of the one before.")
@click.option("--dry-run", is_flag=True, help="Change nothing; tell how many jobs would be made.")
@click.option("--yes", is_flag=True, help=f"Do not ask back when there are more than {_MANY}.")
@json_option
@mapped()
def backfill(
    name: str, since: datetime, until: datetime, in_turn: bool, dry_run: bool, yes: bool, output: Output
) -> None:
    """Make the jobs of times that are past and have none: from before it was added, or while it was paused."""
    with open_desk() as (desk, actor):
        found = edits.backfill(desk, actor, name, since, until, in_turn, dry_run=True)
        if found.made > _MANY and not dry_run and not yes:
            click.confirm(f"{found.made} jobs would be made; go on?", abort=True, err=True)
        if not dry_run:
            found = edits.backfill(desk, actor, name, since, until, in_turn)
    if output.as_json:
        output.json(asdict(found))
    else:
        output.record(asdict(found))


def _says(values: dict[str, Any]) -> dict[str, Any]:
    """Give what was said of a schedule as its row holds it."""
    given = {name: value for name, value in values.items() if value is not None}
    given |= {name: given[name].total_seconds() for name in _TIMES if name in given}
    if "payload" in given:
        given["payload_template"] = _template(given.pop("payload"))
    return given


def _template(payload: str) -> dict[str, Any]:
    from jobplatform.cli.submit import read_payload

    args, kwargs = read_payload(payload)
    return {"args": list(args), "kwargs": json.loads(json.dumps(kwargs))}


def _report(names: Sequence[str], outcome: str, output: Output) -> None:
    report = [{"name": name, "outcome": outcome} for name in names]
    if output.as_json:
        output.json(report)
    else:
        output.table(report, ("name", "outcome"), empty="")


COMMANDS = (add, change, pause, resume, run, backfill, remove)
