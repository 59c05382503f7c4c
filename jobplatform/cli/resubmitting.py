"""``jobs resubmit``: a job that has ended once more, as a new one with another payload."""

from __future__ import annotations

import click

from jobplatform.actions import resubmission as actions
from jobplatform.cli.desk import open_desk
from jobplatform.cli.editing import DIFFERENCE_COLUMNS, Edit, editing
from jobplatform.cli.exits import mapped
from jobplatform.cli.output import Output, json_option
from jobplatform.cli.parameters import JOB_ID


@click.command("resubmit")
@click.argument("job_id", type=JOB_ID)
@click.option("--reason", help="Written down with it.")
@click.option("--dry-run", is_flag=True, help="Submit nothing; tell what changes.")
@json_option
@mapped()
@editing
def resubmit_job(job_id: str, edit: Edit, reason: str | None, dry_run: bool, output: Output) -> None:
    """Submit a job that has ended once more, as a new one with another payload, and print its id."""
    with open_desk() as (desk, actor):
        done = actions.resubmit(desk, actor, job_id, edit.whole, edit.changes, reason, dry_run)
    told = [each._asdict() for each in done.changes]
    if output.as_json:
        output.json({**done._asdict(), "changes": told})
    elif dry_run:
        output.section("changes", told, DIFFERENCE_COLUMNS)
    else:
        output.line(str(done.job_id))
