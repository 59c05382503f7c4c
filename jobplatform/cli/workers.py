"""The group ``workers``: who runs jobs, and whether they live."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from jobplatform.cli.connect import open_database
from jobplatform.cli.exits import mapped
from jobplatform.cli.output import Output, json_option
from jobplatform.store import workers as rows

_COLUMNS = ("name", "status", "pid", "active", "waiting", "settled", "memory", "started_at", "last_seen_at")
_MIB = 1024 * 1024


@click.group(short_help="List workers.")
def workers() -> None:
    """List the workers that the controller has heard of."""


@workers.command("list")
@click.option("--all", "gone", is_flag=True, help="Those that have ended as well.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="Workers at most.")
@json_option
@mapped()
def list_workers(gone: bool, limit: int, output: Output) -> None:
    """List workers, the last seen first."""
    with open_database() as database, database.session() as session:
        found = rows.list_workers(session, gone, limit)
    if output.as_json:
        output.json({"workers": list(map(dict, found))})
    else:
        output.table([_shown(row) for row in found], _COLUMNS, empty="no such workers")


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    report = row["report"] or {}
    memory = sum(process["rss"] for process in report.get("processes", ()))
    counts = {name: report.get(name) for name in ("active", "waiting", "settled")}
    return {**row, **counts, "memory": f"{memory / _MIB:.0f} MiB"}
