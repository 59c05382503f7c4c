"""The command ``decisions``: what the platform decided by itself, and why."""

from __future__ import annotations

from typing import Any

import click

from jobplatform.actions import decisions as actions
from jobplatform.actions.decisions import Decision, Kind
from jobplatform.cli.desk import open_desk
from jobplatform.cli.exits import mapped
from jobplatform.cli.output import Output, json_option

_COLUMNS = ("at", "kind", "subject", "sentence")


@click.command(short_help="List what was decided on retries, workers and breakers.")
@click.option("--kind", "kinds", type=click.Choice(list(map(str, Kind))), multiple=True, help="Of this kind alone.")
@click.option("--type", "job_type", help="On retries of this job type alone.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="Decisions on a page.")
@click.option("--page", metavar="CURSOR", help="The cursor that the page before printed.")
@json_option
@mapped()
def decisions(kinds: tuple[str, ...], job_type: str | None, limit: int, page: str | None, output: Output) -> None:
    """List what was decided on retries, the number of workers, replacements and breakers, the newest first."""
    with open_desk() as (desk, actor):
        found = actions.list_decisions(desk, actor, limit, page, [Kind(kind) for kind in kinds] or None, job_type)
    output.page("decisions", [_row(each, output.as_json) for each in found.decisions], _COLUMNS, found.next)


def _row(decision: Decision, whole: bool) -> dict[str, Any]:
    row = {**decision._asdict(), "kind": str(decision.kind)}
    return row if whole else {name: row[name] for name in _COLUMNS}
