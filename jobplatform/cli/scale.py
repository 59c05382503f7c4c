"""The group ``scale``: how many workers there were to be, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from jobplatform.actions import scaling as actions
from jobplatform.actions.scaling import sentence
from jobplatform.cli.desk import open_desk
from jobplatform.cli.exits import mapped
from jobplatform.cli.output import Output, json_option

_COLUMNS = ("decision_id", "decided_at", "pool", "had", "wanted", "level", "probability", "reason")
_QUEUE_COLUMNS = ("queue", "median", "most", "rule")
_MOST_ID = actions.NO_ID


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
    with open_desk() as (desk, actor):
        found, after = actions.list_decisions(desk, actor, limit, pool, every, before)
    output.page("decisions", [_brief(row) for row in found], _COLUMNS, str(after) if after else None)


@scale.command("show")
@click.argument("decision_id", type=click.IntRange(1, _MOST_ID))
@json_option
@mapped()
def show_decision(decision_id: int, output: Output) -> None:
    """Show a decision: why, what was foretold of each queue, and what the rate rule would have wanted."""
    with open_desk() as (desk, actor):
        row = actions.show_decision(desk, actor, decision_id)
    if output.as_json:
        output.json(dict(row))
        return
    output.line(sentence(row))
    forecast = row["forecast"]
    output.record({**{name: row[name] for name in row if name not in ("forecast", "reason", "counterfactual")}})
    queues = [{"queue": name, **each} for name, each in forecast.get("queues", {}).items()]
    output.section("jobs at once, foretold", queues, _QUEUE_COLUMNS)
    for words in forecast.get("announced", ()):
        output.note(words)


def _brief(row: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in row.items() if name != "forecast"}
    return {**kept, "probability": round(row["probability"], 3), "reason": sentence(row)}
