"""``jobplatform backup`` and ``jobplatform restore``: everything into one file, and back."""

from __future__ import annotations

from pathlib import Path

import click

from jobplatform.cli.desk import open_desk
from jobplatform.cli.exits import mapped
from jobplatform.cli.output import Output, json_option

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command(short_help="Write everything into one file.")
@click.argument("file", type=_FILE)
@json_option
@mapped()
def backup(file: Path, output: Output) -> None:
    """Write all rows, as of one moment, into FILE, while everything goes on.

    The file holds payloads and hashes of passwords: keep it as you keep the database.
    """
    from jobplatform.actions import backups

    with open_desk() as (desk, actor), output.progress() as tell:
        made = backups.make(desk, actor, file, tell)
    report = {
        "file": str(file),
        "made_at": made.made_at,
        "revision": made.revision,
        "rows": made.rows,
        "bytes": file.stat().st_size,
    }
    _report(report, output)


@click.command(short_help="Put what a backup holds into an empty database.")
@click.argument("file", type=_FILE)
@click.option("--check", is_flag=True, help="Read all of FILE, compare it with its manifest, and write nothing.")
@click.option("--keep-redis", is_flag=True, help="Leave in Redis what it holds; else it must hold nothing.")
@json_option
@mapped()
def restore(file: Path, check: bool, keep_redis: bool, output: Output) -> None:
    """Put the rows of FILE into an empty database at the revision of the backup, in one transaction.

    Jobs that waited in a queue or ran are published again when a controller starts; those that ended are not.
    """
    if check:
        from jobplatform.maintenance.backup import inspect

        held = inspect(file)
        counts = [{"table": table.name, "rows": table.rows, "bytes": table.bytes} for table in held.tables]
        _report({"made_at": held.made_at, "revision": held.revision, "rows": held.rows, "tables": counts}, output)
        return
    from jobplatform.actions import backups

    with open_desk() as (desk, actor), output.progress() as tell:
        done = backups.restore(desk, actor, file, tell, keep_redis)
    held = done.manifest
    _report(
        {"made_at": held.made_at, "rows": held.rows, "queued": done.queued, "interrupted": done.interrupted}, output
    )


def _report(report: dict[str, object], output: Output) -> None:
    if output.as_json:
        output.json(report)
        return
    output.record({name: value for name, value in report.items() if name != "tables"})
    tables = report.get("tables")
    if isinstance(tables, list):
        output.section("tables", tables, ("table", "rows", "bytes"))
