"""``jobs resubmit``: a job that has ended once more, as a new one with another payload."""

from __future__ import annotations

import click

from jobplatform.actions import resubmission as actions
from jobplatform.cli.desk import open_desk
from jobplatform.cli.exits import mapped
from jobplatform.cli.letter_edit import DIFFERENCE_COLUMNS, read_edited
from jobplatform.cli.output import Output, json_option
from jobplatform.cli.parameters import JOB_ID
from jobplatform.jobs.editing import parse_removal, parse_setting


@click.command("resubmit")
@click.argument("job_id", type=JOB_ID)
@click.option("--payload", help='A whole one as JSON, {"args": [...], "kwargs": {...}}; @FILE, or - to read it.')
@click.option("--set", "settings_", metavar="PATH=VALUE", multiple=True, help="Such as kwargs.user_id=5 or args[0]=1.")
@click.option("--unset", "removals", metavar="PATH", multiple=True, help="Such as kwargs.user_id.")
@click.option("--reason", help="Written down with it.")
@click.option("--dry-run", is_flag=True, help="Submit nothing; tell what changes.")
@json_option
@mapped()
def resubmit_job(
    job_id: str,
    payload: str | None,
    settings_: tuple[str, ...],
    removals: tuple[str, ...],
    reason: str | None,
    dry_run: bool,
    output: Output,
) -> None:
    """Submit a job that has ended once more, as a new one with another payload, and print its id."""
    changes = [*map(parse_setting, settings_), *map(parse_removal, removals)]
    with open_desk() as (desk, actor):
        whole = None if payload is None else read_edited(payload)
        done = actions.resubmit(desk, actor, job_id, whole, changes, reason, dry_run)
    told = [each._asdict() for each in done.changes]
    if output.as_json:
        output.json({**done._asdict(), "changes": told})
    elif dry_run:
        output.section("changes", told, DIFFERENCE_COLUMNS)
    else:
        output.line(str(done.job_id))
