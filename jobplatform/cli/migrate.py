"""``jobplatform migrate``: the tables, up or down."""

from __future__ import annotations

import sys

import click

from jobplatform.cli.connect import open_database
from jobplatform.cli.exits import mapped
from jobplatform.cli.output import Output, json_option
from jobplatform.store.database import Database

#: An index of a table that is years old takes its time.
_PATIENCE_SECONDS = 86_400.0


@click.command(short_help="Bring the tables up to date.")
@click.option("--to", "target", metavar="REVISION", default="head", help="Stop at this revision.")
@click.option("--down", metavar="REVISION", help='Go back to this revision; "base" removes all that is ours.')
@click.option("--show", is_flag=True, help="Change nothing; tell where the database is.")
@click.option("--yes", is_flag=True, help="Do not ask before going down.")
@json_option
@mapped()
def migrate(target: str, down: str | None, show: bool, yes: bool, output: Output) -> None:
    """Bring the tables up to date. Nothing that is not ours is touched."""
    from jobplatform.store.migrate import downgrade, upgrade

    with open_database(statement_seconds=_PATIENCE_SECONDS) as database:
        if down is not None and not show:
            if not yes and sys.stdin.isatty():
                click.confirm(f"Go down to {down} and lose what those tables hold?", abort=True, err=True)
            downgrade(database, down)
        elif not show:
            upgrade(database, target)
        _report(database, output)


def _report(database: Database, output: Output) -> None:
    from jobplatform.store.migrate import current, head

    report = {"schema": database.schema, "current": current(database), "head": head()}
    if output.as_json:
        output.json(report)
    else:
        output.record({**report, "current": report["current"] or "none"})
