"""The group ``scale``: how many workers there were to be, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from jobplatform.cli.connect import open_database
from jobplatform.cli.exits import CommandError, Exit, mapped
from jobplatform.cli.output import Output, json_option
from jobplatform.store import scaling as rows

_COLUMNS = ("decision_id", "decided_at", "pool", "had", "wanted", "level", "probability", "reason")
_QUEUE_COLUMNS = ("queue", "median", "most", "rule")
_MOST_ID = 2**62


@click.group(short_help="List and show decisions on the number of workers.")
def scale() -> None:
    """List and show how many workers there were to be, why, and what the rate rule would have wanted."""


@scale.command("list")
@click.option("--pool", help="Of this pool alone.")
@click.option("--all", "every", is_flag=True, help="Also decisions that left everything as it was.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="Rows at most.")
@click.option("--page", "before", type=click.IntRange(1), default=_MOST_ID, help="The last number of the page before.")
@json_option
@mapped()
def list_decisions(pool: str | None, every: bool, limit: int, before: int, output: Output) -> None:
    """List decisions, the newest first."""
    with open_database() as database, database.session() as session:
        found = rows.decisions(session, limit + 1, pool, every, before)
    shown = [_brief(row) for row in found[:limit]]
    output.page("decisions", shown, _COLUMNS, str(shown[-1]["decision_id"]) if len(found) > limit else None)


@scale.command("show")
@click.argument("decision_id", type=click.IntRange(1, _MOST_ID))
@json_option
@mapped()
def show_decision(decision_id: int, output: Output) -> None:
    """Show a decision: why, what was foretold of each queue, and what the rate rule would have wanted."""
    with open_database() as database, database.session() as session:
        row = rows.show(session, decision_id)
    if row is None:
        raise CommandError(
            f"decision {decision_id}: there is none of this number; see: jobplatform scale list --all", Exit.NOT_FOUND
        )
    if output.as_json:
        output.json(dict(row))
        return
    output.line(_sentence(row))
    forecast = row["forecast"]
    output.record({**{name: row[name] for name in row if name not in ("forecast", "reason", "counterfactual")}})
    queues = [{"queue": name, **each} for name, each in forecast.get("queues", {}).items()]
    output.section("jobs at once, foretold", queues, _QUEUE_COLUMNS)
    for words in forecast.get("announced", ()):
        output.note(words)


def _sentence(row: Mapping[str, Any]) -> str:
    return f"{row['reason'].rstrip('.')}; {row['counterfactual']}."


def _brief(row: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in row.items() if name != "forecast"}
    return {**kept, "probability": round(row["probability"], 3), "reason": _sentence(row)}
