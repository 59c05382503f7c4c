"""The group ``workers``: who runs jobs, whether they live, and what they are asked to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from jobplatform.actions import workers as actions
from jobplatform.actions.workers import Asked, missing
from jobplatform.cli.desk import open_desk
from jobplatform.cli.exits import mapped
from jobplatform.cli.output import Output, json_option
from jobplatform.cli.parameters import DURATION
from jobplatform.cli.worker_health import show_health, show_hungry
from jobplatform.errors import TransitionRefused

_COLUMNS = ("name", "status", "duty", "pid", "active", "waiting", "settled", "memory", "started_at", "last_seen_at")
_RUNNING_COLUMNS = ("job_id", "type", "attempt", "pid", "since")
_PROCESS_COLUMNS = ("pid", "memory", "cpu")
_REPORT_COLUMNS = ("worker_id", "name", "status", "duty", "outcome")
_MIB = 1024 * 1024
_NAMES = click.argument("names", nargs=-1, required=True, metavar="NAME...")
_REASON = click.option("--reason", help="Why, kept with the worker.")
_BY = click.option("--by", help="Who does it; who is logged in, if not given.")


@click.group(short_help="List, judge, cordon, drain and replace workers.")
def workers() -> None:
    """List the workers that the controller has heard of, and tell them to take no more, to leave or to be replaced."""


workers.add_command(show_health)
workers.add_command(show_hungry)


@workers.command("list")
@click.option("--all", "gone", is_flag=True, help="Those that have ended as well.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="Workers at most.")
@json_option
@mapped()
def list_workers(gone: bool, limit: int, output: Output) -> None:
    """List workers, the last seen first."""
    with open_desk() as (desk, actor):
        found = actions.list_workers(desk, actor, gone, limit)
    if output.as_json:
        output.json({"workers": list(map(dict, found))})
    else:
        output.table([_shown(row) for row in found], _COLUMNS, empty="no such workers")


@workers.command("show")
@click.argument("name")
@json_option
@mapped()
def show_worker(name: str, output: Output) -> None:
    """Show the worker that was last seen under a name, with its last report."""
    with open_desk() as (desk, actor):
        found = actions.show_worker(desk, actor, name)
    if output.as_json:
        output.json(dict(found))
        return
    report = found["report"] or {}
    shown = _shown(found)
    output.record({key: value for key, value in shown.items() if key != "report"} | {"does": report.get("duty")})
    running = [{**job, "since": _moment(job.get("since"))} for job in report.get("running", ())]
    output.section("running", running, _RUNNING_COLUMNS)
    processes = [{**each, "memory": _memory(each["rss"])} for each in report.get("processes", ())]
    output.section("processes", processes, _PROCESS_COLUMNS)


@workers.command("cordon")
@_NAMES
@_REASON
@_BY
@json_option
@mapped()
def cordon(names: tuple[str, ...], reason: str | None, by: str | None, output: Output) -> None:
    """Let workers take no more jobs: what they hold and have not begun goes back, what runs ends."""
    with open_desk(by=by) as (desk, actor):
        done = actions.cordon(desk, actor, names, reason)
    _report(names, done, output)


@workers.command("uncordon")
@_NAMES
@_REASON
@_BY
@json_option
@mapped()
def uncordon(names: tuple[str, ...], reason: str | None, by: str | None, output: Output) -> None:
    """Let cordoned workers take jobs again."""
    with open_desk(by=by) as (desk, actor):
        done = actions.uncordon(desk, actor, names, reason)
    _report(names, done, output)


@workers.command("drain")
@_NAMES
@_REASON
@click.option("--grace", type=DURATION, help="Seconds that running jobs have to end, else the setting says.")
@_BY
@json_option
@mapped()
def drain(names: tuple[str, ...], reason: str | None, grace: timedelta | None, by: str | None, output: Output) -> None:
    """Let workers end, as SIGTERM does: what runs may end within the grace, the rest begins again elsewhere."""
    with open_desk(by=by) as (desk, actor):
        done = actions.drain(desk, actor, names, reason, None if grace is None else grace.total_seconds())
    _report(names, done, output)


@workers.command("replace")
@_NAMES
@_REASON
@_BY
@json_option
@mapped()
def replace(names: tuple[str, ...], reason: str | None, by: str | None, output: Output) -> None:
    """Let others take the place of workers: each works until its successor does, then it is drained."""
    with open_desk(by=by) as (desk, actor):
        found, asked = actions.replace(desk, actor, names, reason)
    living = [row["name"] for row in found]
    if output.as_json:
        output.json({"asked": list(asked), "under_way": sorted(set(living) - set(asked))})
        return
    for name in living:
        output.line(f"{name}: {'is being replaced' if name in asked else 'was being replaced already'}")


def _report(names: Sequence[str], done: Asked, output: Output) -> None:
    """Report what became of each worker.

    :raises WorkerNotFound: when no worker that lives has one of the names.
    :raises TransitionRefused: when one is to drain already; the others were asked all the same.
    """
    report = [{**row, "outcome": "asked" if row["name"] in done.asked else "refused"} for row in done.workers]
    if output.as_json:
        output.json([{name: row[name] for name in _REPORT_COLUMNS} for row in report])
    elif report:
        output.table(report, _REPORT_COLUMNS, empty="")
    for name in names:
        if name not in {row["name"] for row in report}:
            raise missing(name)
    for row in report:
        if row["outcome"] == "refused":
            raise TransitionRefused(f"worker {row['name']} is to drain already, which cannot be taken back")


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    report = row["report"] or {}
    memory = sum(process["rss"] for process in report.get("processes", ()))
    counts = {name: report.get(name) for name in ("active", "waiting", "settled")}
    return {**row, **counts, "memory": _memory(memory)}


def _memory(size: int) -> str:
    return f"{size / _MIB:.0f} MiB"


def _moment(at: float | None) -> datetime | None:
    return None if at is None else datetime.fromtimestamp(at, UTC)
