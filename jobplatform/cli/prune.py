"""``jobplatform prune``: finished jobs leave now, not with the controller's next pass."""

from __future__ import annotations

import click

from jobplatform.cli.desk import open_desk
from jobplatform.cli.exits import mapped
from jobplatform.cli.output import Output, json_option


@click.command(short_help="Let finished jobs go whose time is over.")
@click.option("--dry-run", is_flag=True, help="Count them by type, and change nothing.")
@json_option
@mapped()
def prune(dry_run: bool, output: Output) -> None:
    """Delete jobs that ended longer ago than JOBPLATFORM_KEEP_DAYS and JOBPLATFORM_KEEP_TYPES say.

    They are written to JOBPLATFORM_EXPORT_DIR first, where that is set. A controller does the same every hour.
    """
    from jobplatform.actions import retention

    with open_desk() as (desk, actor):
        counts = retention.count(desk, actor) if dry_run else retention.prune(desk, actor)
    noun = "job_type" if dry_run else "rows"
    rows = [{noun: name, "number": number} for name, number in sorted(counts.items())]
    if output.as_json:
        output.json({"dry_run": dry_run, "counts": counts})
    else:
        output.table(rows, (noun, "number"), empty="nothing is old enough to go")
