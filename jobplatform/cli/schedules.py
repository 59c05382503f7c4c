"""The group ``schedules``: what runs by itself, and when."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click

from jobplatform.cli.connect import open_database
from jobplatform.cli.exits import Exit, mapped
from jobplatform.cli.output import Output, json_option
from jobplatform.cli.scheduling import COMMANDS, find
from jobplatform.recurrence import Cron, parse
from jobplatform.scheduling.lint import lint
from jobplatform.scheduling.preview import Run, preview
from jobplatform.store import schedules as rows

_COLUMNS = ("name", "job_type", "cron_expression", "timezone", "enabled", "next_run", "last_run", "why")
_RUN_COLUMNS = ("local", "utc", "note")
_FIRE_COLUMNS = ("fire_at", "job_id", "status", "started_at", "completed_at", "error_type")
_REMARK_COLUMNS = ("schedule", "trap", "found", "fix")
_SHOWN = 5
_MOST = 100_000


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
    with open_database() as database, database.session() as session:
        found = rows.listed(session, None, limit + 1, page)
    shown = [{**row, "why": row["problem"] or row["hold_reason"]} for row in found[:limit]]
    output.page("schedules", shown, _COLUMNS, shown[-1]["name"] if len(found) > limit else None)


@schedules.command("show")
@click.argument("name")
@json_option
@mapped()
def show_schedule(name: str, output: Output) -> None:
    """Show a schedule, when it runs next, and what became of its last fires."""
    with open_database() as database, database.session() as session:
        row = find(session, [name])[0]
        fires = rows.fires(session, row["schedule_id"], _SHOWN)
    runs = [] if row["problem"] else _runs(row["cron_expression"], row["timezone"], _SHOWN)
    if output.as_json:
        output.json({**row, "next_runs": runs, "last_fires": list(map(dict, fires))})
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
    cron = name_or_cron
    if " " not in cron and not cron.startswith("@"):
        with open_database() as database, database.session() as session:
            row = find(session, [name_or_cron])[0]
        cron, timezone = row["cron_expression"], row["timezone"]
    runs = _runs(cron, timezone, count)
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
    with open_database() as database, database.session() as session:
        found = rows.listed(session, None, _MOST)
        remarks = lint(found, rows.durations(session), datetime.now(UTC))
    shown = [
        {"schedule": each.schedule, "trap": str(each.trap), "found": each.found, "fix": each.fix} for each in remarks
    ]
    if output.as_json:
        output.json(shown)
    else:
        output.table(shown, _REMARK_COLUMNS, empty=f"{len(found)} schedules, and nothing to remark")
    if shown:
        context.exit(Exit.FAILED)


def _runs(cron: str, timezone: str, count: int) -> list[dict[str, Any]]:
    recurrence = parse(cron, timezone)
    zone = recurrence.zone if isinstance(recurrence, Cron) else UTC
    return [_run(run) for run in preview(recurrence, zone, datetime.now(UTC), count)]


def _run(run: Run) -> dict[str, Any]:
    return {"local": run.local.strftime("%a %Y-%m-%d %H:%M:%S%z"), "utc": run.at, "note": run.note}


for command in COMMANDS:
    schedules.add_command(command)
