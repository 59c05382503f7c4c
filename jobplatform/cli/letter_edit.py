"""``dlq edit``: mend what a job failed with, before it runs once more."""

from __future__ import annotations

import click

from jobplatform.actions import letters as actions
from jobplatform.actions.letters import Edited
from jobplatform.cli.choosing import DLQ_ID
from jobplatform.cli.desk import open_desk
from jobplatform.cli.editing import DIFFERENCE_COLUMNS, Edit, editing
from jobplatform.cli.exits import mapped
from jobplatform.cli.output import Output, json_option


@click.command("edit")
@click.argument("dlq_id", type=DLQ_ID)
@click.option("--by", help="Who does it; who is logged in, if not given.")
@click.option("--dry-run", is_flag=True, help="Write nothing; tell what it changes.")
@json_option
@mapped()
@editing
def edit_letter(dlq_id: int, edit: Edit, by: str | None, dry_run: bool, output: Output) -> None:
    """Give a dead letter another payload, with which its job is replayed; the one that failed stays beside it."""
    if edit.whole is None and not edit.changes:
        raise click.UsageError("nothing says what to change; give --payload, --set or --unset")
    with open_desk(by=by) as (desk, actor):
        done = actions.edit(desk, actor, dlq_id, edit.whole, edit.changes, dry_run)
    _report(done, output)


def _report(done: Edited, output: Output) -> None:
    values = done._asdict()
    job_type, changes = values.pop("job_type"), [each._asdict() for each in done.changes]
    if output.as_json:
        output.json({**values, "changes": changes})
        return
    output.record({name: value for name, value in values.items() if name != "changes"})
    output.section("changes", changes, DIFFERENCE_COLUMNS)
    if not done.checked:
        output.note(f"{job_type} is not known here, so its arguments were not checked; see JOBPLATFORM_IMPORTS")


COMMANDS = (edit_letter,)
