"""The group ``workflows``: jobs that wait for each other."""

from __future__ import annotations

import click

from jobplatform.actions import workflows as actions
from jobplatform.cli.desk import open_desk
from jobplatform.cli.exits import mapped
from jobplatform.cli.output import Output, json_option
from jobplatform.cli.parameters import JOB_ID

_COLUMNS = ("root_id", "jobs", "states", "created_at", "ended_at")
_JOB_COLUMNS = ("level", "job_id", "job_type", "status", "after", "completed_at", "error_type")


@click.group(short_help="List and show workflows: jobs that wait for each other.")
def workflows() -> None:
    """List and show workflows: jobs that wait for each other, by the root that they were submitted with."""


@workflows.command("list")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="Workflows on a page.")
@click.option("--page", type=JOB_ID, help="The cursor that the page before printed.")
@json_option
@mapped()
def list_workflows(limit: int, page: str | None, output: Output) -> None:
    """List workflows with their jobs by state, newest first."""
    with open_desk() as (desk, actor):
        found = actions.list_workflows(desk, actor, limit, page)
    output.page("workflows", found.rows, _COLUMNS, found.next)


@workflows.command("show")
@click.argument("root_or_job", type=JOB_ID)
@click.option("--limit", type=click.IntRange(1, 10_000), default=1_000, show_default=True, help="Jobs at most.")
@json_option
@mapped()
def show_workflow(root_or_job: str, limit: int, output: Output) -> None:
    """Show the jobs of a workflow, by its root or one of its jobs, in the order in which they can run."""
    with open_desk() as (desk, actor):
        root_id, jobs, complete = actions.show_workflow(desk, actor, root_or_job, limit)
    if output.as_json:
        output.json({"root_id": root_id, "jobs": list(jobs), "complete": complete})
        return
    output.table([{**row, "after": len(row["after"])} for row in jobs], _JOB_COLUMNS, empty="")
    if not complete:
        output.note(f"it has more than {limit} jobs; see --limit")
