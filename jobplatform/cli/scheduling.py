"""The commands of the group ``schedules`` that change schedules."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from jobplatform.cli.connect import open_database
from jobplatform.cli.exits import CommandError, Exit, mapped
from jobplatform.cli.holding import holding
from jobplatform.cli.output import Output, json_option
from jobplatform.cli.parameters import DURATION
from jobplatform.errors import ScheduleNotFound
from jobplatform.jobs.schedule import Misfire, Overlap, Schedule
from jobplatform.recurrence import parse
from jobplatform.scheduling.declared import DEFAULTS
from jobplatform.scheduling.fires import TypeFacts, job_of, rule_of
from jobplatform.scheduling.misfire import plan
from jobplatform.scheduling.overlap import Fire
from jobplatform.store import new_jobs, schedules
from jobplatform.store.database import Transaction
from jobplatform.store.pauses import Hold

_NAMES = click.argument("names", nargs=-1, required=True, metavar="NAME...")
_PLAN_COLUMNS = ("name", "missed_since", "makes_up_for", "next_run")
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


def find(transaction: Transaction, names: Sequence[str]) -> list[dict[str, Any]]:
    """Read schedules by name.

    :raises ScheduleNotFound: naming the first that is not there.
    """
    found = {row["name"]: row for row in schedules.listed(transaction, names, len(names))}
    for name in names:
        if name not in found:
            raise ScheduleNotFound(f"schedule {name}: there is none; see: jobplatform schedules list")
    return [found[name] for name in names]


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
    row = _row({**DEFAULTS, "queue": "celery", "payload_template": {"args": [], "kwargs": {}}}, cron, values)
    with open_database() as database, database.transaction() as transaction:
        if schedules.listed(transaction, [name], 1):
            raise CommandError(f"schedule {name} is there already; use: jobplatform schedules change", Exit.CONFLICT)
        schedules.put(transaction, [{**row, "name": name, "job_type": job_type}])
    _report([name], "added", output)


@click.command("change")
@click.argument("name")
@click.option("--cron", help="When it fires.")
@_described
@json_option
@mapped()
def change(name: str, cron: str | None, output: Output, **values: Any) -> None:
    """Change a schedule; what is not given stays."""
    with open_database() as database, database.transaction() as transaction:
        before = find(transaction, [name])[0]
        if before["origin"] == "code":
            raise CommandError(f"schedule {name} is declared by code; change it there", Exit.CONFLICT)
        row = _row(before, cron or before["cron_expression"], values)
        schedules.put(transaction, [row])
    _report([name], "changed", output)


@click.command("pause")
@_NAMES
@holding
@json_option
@mapped()
def pause(names: tuple[str, ...], hold: Hold, output: Output) -> None:
    """Let schedules fire no more."""
    with open_database() as database, database.transaction() as transaction:
        find(transaction, names)
        schedules.hold(transaction, names, hold)
    _report(names, "paused", output)


@click.command("resume")
@_NAMES
@click.option("--dry-run", is_flag=True, help="Change nothing; tell what would be made up for.")
@json_option
@mapped()
def resume(names: tuple[str, ...], dry_run: bool, output: Output) -> None:
    """Let schedules fire again, and tell what each makes up for."""
    now = datetime.now(UTC)
    with open_database() as database, database.transaction() as transaction:
        plans = [_planned(row, now) for row in find(transaction, names)]
        if not dry_run:
            schedules.resume(transaction, names)
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
    now = datetime.now(UTC)
    with open_database() as database, database.transaction() as transaction:
        made = [job_of(row, Fire(now), now, TypeFacts(), timedelta()) for row in find(transaction, names)]
        made = [{**job, "status": "PENDING", "due_at": now.timestamp(), "scheduled_at": None} for job in made]
        new_jobs.insert_values(transaction, made)
    report = [{"name": name, "job_id": job["job_id"]} for name, job in zip(names, made, strict=True)]
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
    with open_database() as database, database.transaction() as transaction:
        find(transaction, names)
        schedules.remove(transaction, names)
    _report(names, "removed", output)


def _row(before: dict[str, Any], cron: str, values: dict[str, Any]) -> dict[str, Any]:
    """Give the row of a schedule with some values changed; what cannot be understood is refused.

    :raises ScheduleError: or ``JobOptionError``, naming the value.
    """
    given = {name: value for name, value in values.items() if value is not None}
    given |= {name: given[name].total_seconds() for name in _TIMES if name in given}
    if "payload" in given:
        given["payload_template"] = _template(given.pop("payload"))
    names = Schedule.__dataclass_fields__.keys() & DEFAULTS.keys()
    row = {**before, **given, "cron_expression": cron}
    Schedule(cron, **{name: row[name] for name in names})
    return {name: value for name, value in row.items() if not isinstance(value, datetime)}


def _template(payload: str) -> dict[str, Any]:
    from jobplatform.cli.submit import read_payload

    args, kwargs = read_payload(payload)
    return {"args": list(args), "kwargs": json.loads(json.dumps(kwargs))}


def _planned(row: dict[str, Any], now: datetime) -> dict[str, Any]:
    due = row["next_run"]
    if due is None or due > now:
        return {"name": row["name"], "missed_since": None, "makes_up_for": 0, "next_run": due}
    planned = plan(parse(row["cron_expression"], row["timezone"]), due, now, rule_of(row))
    return {
        "name": row["name"], "missed_since": due, "makes_up_for": len(planned.fires), "next_run": planned.next_run,
    }  # fmt: skip


def _report(names: Sequence[str], outcome: str, output: Output) -> None:
    report = [{"name": name, "outcome": outcome} for name in names]
    if output.as_json:
        output.json(report)
    else:
        output.table(report, ("name", "outcome"), empty="")


COMMANDS = (add, change, pause, resume, run, remove)
