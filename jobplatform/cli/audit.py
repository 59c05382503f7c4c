"""The group ``audit``: who did what, and whether anybody changed that."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import Any

import click

from jobplatform.actions import audit as actions
from jobplatform.actions.audit import Asked
from jobplatform.cli.desk import open_desk
from jobplatform.cli.exits import Exit, mapped
from jobplatform.cli.output import Output, json_option
from jobplatform.cli.parameters import SINCE

_COLUMNS = ("audit_id", "at", "actor", "via", "address", "action", "about", "outcome", "reason")
_ID = click.IntRange(min=1, max=2**63 - 1)

Command = Callable[..., Any]


@click.group(short_help="See who did what, and check that nobody changed that.")
def audit() -> None:
    """See who did what, when, from where and why. Rows are only ever added, and each is bound to the one before it."""


def _asking(command: Command) -> Command:
    """Add the options of a filter; the command takes it as ``asked``."""

    @wraps(command)
    def run(
        *, who: str | None, action: str | None, since: datetime | None, until: datetime | None, **options: Any
    ) -> Any:
        return command(asked=Asked(who, action, since, until), **options)

    for option in (
        click.option("--until", type=SINCE, help="Before this long ago, or an ISO time."),
        click.option("--since", type=SINCE, help="Since this long ago, such as 7d, or an ISO time."),
        click.option("--action", help="This action alone, such as jobs.cancel."),
        click.option("--actor", "who", help="What this one did."),
    ):
        run = option(run)
    return run


@audit.command("list")
@_asking
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="Rows on a page.")
@click.option("--page", "before", type=_ID, metavar="CURSOR", help="The cursor that the page before printed.")
@json_option
@mapped()
def list_deeds(asked: Asked, limit: int, before: int | None, output: Output) -> None:
    """List what was done, and what was refused, the newest first."""
    with open_desk() as (desk, actor):
        found, after = actions.list_deeds(desk, actor, asked, limit, before)
    output.page("deeds", found, _COLUMNS, str(after) if after else None)


@audit.command("verify")
@json_option
@click.pass_context
@mapped()
def verify(ctx: click.Context, output: Output) -> None:
    """Check that no row was changed or taken out from between others; exits with 1 when one was.

    Rows that were cut off at the end leave no trace: keep the last hash that this prints elsewhere, and compare.
    """
    with open_desk() as (desk, actor):
        broken = actions.verify(desk, actor)
        last = actions.list_deeds(desk, actor, Asked(), 1).rows
    known = {"audit_id": last[0]["audit_id"], "hash": last[0]["hash"]} if last else None
    if output.as_json:
        output.json({"broken": broken, "last": known})
    elif broken is not None:
        output.line(f"row {broken} was changed, or one before it was taken out; see: jobplatform audit list")
    elif known:
        output.line(f"sound up to row {known['audit_id']}, whose hash is {known['hash']}")
    else:
        output.line("nothing was done yet")
    if broken is not None:
        ctx.exit(Exit.FAILED)


@audit.command("export")
@_asking
@mapped()
def export(asked: Asked) -> None:
    """Print all rows that match as JSON, one a line, the newest first."""
    output = Output(as_json=True)
    with open_desk() as (desk, actor):
        for row in actions.export(desk, actor, asked):
            output.json_line(dict(row))
