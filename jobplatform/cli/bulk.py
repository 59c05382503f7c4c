"""The group ``bulk``: one verb for all jobs of a filter, done by a job that goes on where a killed one was."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import click

from jobplatform.actions import bulk as actions
from jobplatform.actions.bulk import Plan, Wish
from jobplatform.actions.jobs import VERBS
from jobplatform.cli.desk import open_desk
from jobplatform.cli.exits import mapped
from jobplatform.cli.output import Output, json_option
from jobplatform.cli.parameters import UNTIL
from jobplatform.cli.selection import ask_back

_COLUMNS = ("bulk_id", "action", "filter", "actor", "status", "jobs", "expected", "created_at", "finished_at")
_SAMPLE_COLUMNS = ("job_id", "job_type", "queue", "status", "created_at")
_ID = click.IntRange(min=1, max=2**63 - 1)
_VERBS = click.Choice([name.removeprefix("jobs.") for name in VERBS])


@click.group(short_help="Do one verb to all jobs of a filter.")
def bulk() -> None:
    """Do one verb to all jobs of a filter: a job does it page by page, and none twice, whatever is killed."""


@bulk.command("start")
@click.argument("verb", type=_VERBS)
@click.argument("filter", metavar="FILTER")
@click.option("--reason", help="Kept with the jobs and in the audit log.")
@click.option("--cascade", is_flag=True, help="For cancel: also what the jobs have submitted.")
@click.option("--resume-at", "until", type=UNTIL, help="For pause: when they go on by themselves.")
@click.option("--to", "queue", metavar="QUEUE", help="For move: the queue to put them in.")
@click.option("--priority", type=click.IntRange(1, 5), help="For move: their new priority.")
@click.option("--dry-run", is_flag=True, help="Change nothing; tell how many match, and show some.")
@click.option("--yes", is_flag=True, help="Do not ask back when there are many.")
@json_option
@mapped()
def start_bulk(
    verb: str, filter: str, reason: str | None, dry_run: bool, yes: bool, output: Output, **values: Any
) -> None:
    """Let a job do VERB to all jobs of FILTER that are there by now, such as 'type:mail state:failed error:timeout'."""
    wish = Wish(f"jobs.{verb}", filter, reason, _given(values))
    with open_desk() as (desk, actor):
        plan = actions.plan(desk, actor, wish)
        if dry_run:
            _show_plan(plan, output)
            return
        if not yes:
            ask_back(plan.jobs)
        bulk_id = actions.start(desk, actor, wish)
    _tell(output, {"bulk_id": bulk_id})


@bulk.command("list")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="Rows on a page.")
@click.option("--page", type=_ID, metavar="CURSOR", help="The cursor that the page before printed.")
@json_option
@mapped()
def list_bulks(limit: int, page: int | None, output: Output) -> None:
    """List bulk actions, newest first."""
    with open_desk() as (desk, actor):
        found = actions.list_bulks(desk, actor, limit, page)
    output.page("bulk_actions", found.rows, _COLUMNS, str(found.next) if found.next else None)


@bulk.command("show")
@click.argument("bulk_id", type=_ID)
@json_option
@mapped()
def show_bulk(bulk_id: int, output: Output) -> None:
    """Show how far a bulk action is."""
    with open_desk() as (desk, actor):
        _tell(output, actions.show_bulk(desk, actor, bulk_id))


@bulk.command("cancel")
@click.argument("bulk_id", type=_ID)
@click.option("--reason", help="Kept in the audit log.")
@json_option
@mapped()
def cancel_bulk(bulk_id: int, reason: str | None, output: Output) -> None:
    """Let a bulk action end before its next page; what was done stays done."""
    with open_desk() as (desk, actor):
        actions.cancel(desk, actor, bulk_id, reason)
        _tell(output, actions.show_bulk(desk, actor, bulk_id))


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    known = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in values.items()}
    return {name: value for name, value in known.items() if value}


def _tell(output: Output, row: Mapping[str, Any]) -> None:
    (output.json if output.as_json else output.record)(dict(row))


def _show_plan(plan: Plan, output: Output) -> None:
    told = {"filter": plan.filter, "jobs": plan.jobs, "whole": plan.whole}
    if output.as_json:
        output.json({**told, "sample": list(map(dict, plan.sample))})
        return
    output.record(told)
    output.section("newest of them", plan.sample, _SAMPLE_COLUMNS)
