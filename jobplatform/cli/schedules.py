"""The group ``schedules``: what runs by itself, and when."""

from __future__ import annotations

import click

from jobplatform.actions import schedules as actions
from jobplatform.cli.desk import open_desk
from jobplatform.cli.exits import Exit, mapped
from jobplatform.cli.output import Output, json_option
from jobplatform.cli.scheduling import COMMANDS

_COLUMNS = ("name", "job_type", "cron_expression", "timezone", "enabled", "next_run", "last_run", "why")
_RUN_COLUMNS = ("local", "utc", "note")
_FIRE_COLUMNS = ("fire_at", "job_id", "status", "started_at", "completed_at", "error_type")
_REMARK_COLUMNS = ("schedule", "trap", "found", "fix")


@click.group(short_help="List, preview, check and steer schedules.")
def schedules() -> None:
    """List, preview, check and steer schedules; a change counts within a second, without a restart."""


@schedules.command("list")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="Schedules on a page.")
@click.option("--page", default="", help="The last name of the page before.")
@json_option
@mapped()
def list_schedules(limit: int, page: str, output: Output) -> None:
    """List schedules by name."""
    with open_desk() as (desk, actor):
        found = actions.list_schedules(desk, actor, limit, page)
    output.page("schedules", found.rows, _COLUMNS, found.next)


@schedules.command("show")
@click.argument("name")
@json_option
@mapped()
def show_schedule(name: str, output: Output) -> None:
    """Show a schedule, when it runs next, and what became of its last fires."""
    with open_desk() as (desk, actor):
        row, runs, fires = actions.show_schedule(desk, actor, name)
    if output.as_json:
        output.json({**row, "next_runs": list(runs), "last_fires": list(map(dict, fires))})
        return
    output.record(row)
    output.section("next runs", runs, _RUN_COLUMNS)
    output.section("last fires", fires, _FIRE_COLUMNS)


@schedules.command("preview")
@click.argument("name_or_cron")
@click.option("--timezone", default="UTC", show_default=True, help="Of a cron line; a schedule has its own.")
@click.option("-n", "count", type=click.IntRange(1, 1000), default=10, show_default=True, help="Runs.")
@json_option
@mapped()
def preview_runs(name_or_cron: str, timezone: str, count: int, output: Output) -> None:
    """Show the next runs of a schedule, or of a cron line that is none yet; days of clock changes are marked."""
    with open_desk() as (desk, actor):
        runs = actions.preview(desk, actor, name_or_cron, timezone, count)
    if output.as_json:
        output.json(runs)
    else:
        output.table(runs, _RUN_COLUMNS, empty="it never runs")


@schedules.command("check")
@json_option
@mapped()
@click.pass_context
def check(context: click.Context, output: Output) -> None:
    """Look for what is likely wrong: never fires, overlaps, collisions, clock changes, silence; exits with 1 if so."""
    with open_desk() as (desk, actor):
        count, remarks = actions.check(desk, actor)
    if output.as_json:
        output.json(list(remarks))
    else:
        output.table(remarks, _REMARK_COLUMNS, empty=f"{count} schedules, and nothing to remark")
    if remarks:
        context.exit(Exit.FAILED)


for command in COMMANDS:
    schedules.add_command(command)
