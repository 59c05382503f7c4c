"""How workers are, and which job types take much memory: ``workers health`` and ``workers hungry``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from jobplatform.actions import workers as actions
from jobplatform.cli.desk import open_desk
from jobplatform.cli.exits import mapped
from jobplatform.cli.output import Output, json_option
from jobplatform.workers.symptom import MIB

_COLUMNS = ("name", "status", "verdict", "confidence", "memory", "grows", "judged_at", "reason")
_PAST_COLUMNS = ("judged_at", "verdict", "confidence", "decided_by", "reason")
_SAMPLE_COLUMNS = ("sampled_at", "memory", "left", "cpu", "active", "started", "failed", "loop_wait", "jitter")
_HUNGRY_COLUMNS = ("job_type", "queue", "needs", "usual", "raised", "deaths", "lane", "since")
_SHOWN = 10


@click.command("health")
@click.argument("name", required=False)
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="Workers at most.")
@json_option
@mapped()
def show_health(name: str | None, limit: int, output: Output) -> None:
    """Show how workers are and why; of one worker, also what was thought of it before, and its last samples."""
    with open_desk() as (desk, actor):
        shown, past, sampled = actions.health(desk, actor, name, limit)
    if output.as_json:
        output.json({"workers": list(map(dict, shown)), "verdicts": list(map(dict, past))})
    elif name is None:
        output.table([_for_people(row) for row in shown], _COLUMNS, empty="no worker is alive")
    else:
        output.record({key: value for key, value in _for_people(shown[0]).items() if key not in ("worker_id",)})
        output.section("what was thought of it", past, _PAST_COLUMNS)
        output.section("its last samples", _samples_of(sampled), _SAMPLE_COLUMNS)


def _for_people(row: Mapping[str, Any]) -> dict[str, Any]:
    grows = None if row["grows"] is None else f"{row['grows'] * 3600 / MIB:.1f} MiB/h"
    confidence = None if row["confidence"] is None else f"{row['confidence']:.0%}"
    hidden = ("tree_rss", "memory_left")
    return {
        **{key: value for key, value in row.items() if key not in hidden},
        "confidence": confidence,
        "memory": _mib(row["tree_rss"]),
        "left": _mib(row["memory_left"]),
        "grows": grows,
    }


def _samples_of(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        {**row, "memory": _mib(row["tree_rss"]), "left": _mib(row["memory_left"]), "cpu": round(row["cpu"], 2)}
        for row in rows[-_SHOWN:]
    ]


def _mib(size: int | None) -> str | None:
    return None if size is None else f"{size / MIB:.0f} MiB"


@click.command("hungry")
@click.option(
    "--limit", type=click.IntRange(100, 100_000), default=20_000, show_default=True, help="Attempts to look at."
)
@json_option
@mapped()
def show_hungry(limit: int, output: Output) -> None:
    """Show job types that take much memory, as the newest attempts tell, and the queue that each should have.

    Since when the controller knows it stands beside; from then on jobs are sent to the ``large_queue`` of their type.
    """
    with open_desk() as (desk, actor):
        found = actions.hungry(desk, actor, limit)
    if output.as_json:
        output.json([{name: value for name, value in row.items() if name != "words"} for row in found])
        return
    shown = [{**row, "needs": _mib(row["needs"]), "usual": _mib(row["usual"])} for row in found]
    output.table(shown, _HUNGRY_COLUMNS, empty="no job type takes much more memory than others")
    for row in found:
        output.note(row["words"])
