"""``jobplatform doctor``: is all well, and if not, what mends it?"""

from __future__ import annotations

from dataclasses import asdict

import click

from jobplatform.cli.connect import find_settings
from jobplatform.cli.desk import open_desk
from jobplatform.cli.exits import Exit, mapped
from jobplatform.cli.output import Output, json_option


@click.command(short_help="Check everything that the platform stands on.")
@json_option
@click.pass_context
@mapped()
def doctor(ctx: click.Context, output: Output) -> None:
    """Check everything that the platform stands on, and say how to mend what is not right.

    Exits with 1 when a check fails; a warning alone exits with 0.
    """
    from jobplatform.actions import health
    from jobplatform.actions.health import Level

    with open_desk(find_settings()) as (desk, actor):
        findings = health.check(desk, actor)
    rows = [asdict(finding) for finding in findings]
    if output.as_json:
        output.json(rows)
    else:
        output.table(rows, ["level", "check", "found", "fix"], empty="nothing was checked")
    if any(finding.level is Level.FAIL for finding in findings):
        ctx.exit(Exit.FAILED)
