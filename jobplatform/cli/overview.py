"""The command ``overview``: how all stands, at a glance."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import click

from jobplatform.actions import overview as actions
from jobplatform.actions.overview import Count, Overview, Tables
from jobplatform.cli.desk import open_desk
from jobplatform.cli.exits import CommandError, Exit, mapped
from jobplatform.cli.output import Output, json_option


@click.command(short_help="Tell how all stands, at a glance.")
@json_option
@mapped()
def overview(output: Output) -> None:
    """Tell how all stands: counts, waits, pace, failures, workers, schedules; exits with 5 when a store is away."""
    with open_desk() as (desk, actor):
        found = actions.show(desk, actor)
    if output.as_json:
        output.json(_plain(asdict(found)))
    else:
        _print(found, output)
    away = [name for name, there in (("PostgreSQL", found.postgres), ("Redis", found.redis)) if not there]
    if away:
        raise CommandError(f"{' and '.join(away)} cannot be reached; jobplatform doctor tells more", Exit.UNREACHABLE)


def _print(found: Overview, output: Output) -> None:
    if found.tables is not None:
        output.record(dict(_told(found.tables)))
    if found.controller is False:
        output.note(
            "no controller is alive, so retries and schedules wait; start one: celery -A jobplatform controller"
        )
    waiting = [{**each._asdict(), "oldest": f"{each.oldest:.0f} s"} for each in found.waiting or () if each.depth]
    output.section("queues", waiting, ("queue", "depth", "oldest"))
    if found.tables is not None:
        output.section("workers that went without a goodbye", found.tables.dead or (), ("name", "last_seen_at"))
        output.section("schedules that were missed", found.tables.missed or (), ("name", "job_type", "next_run"))


def _told(tables: Tables) -> Iterator[tuple[str, str | None]]:
    for state, count in tables.counts.items():
        yield state, _number(count)
    pace = tables.pace
    yield "finished in the last hour", str(pace.finished)
    yield "a second", None if pace.per_second is None else f"{pace.per_second:.1f}"
    yield "attempts that failed", None if pace.failed is None else f"{pace.failed:.1%}"
    yield "dead letters of the day", None if tables.letters is None else _number(tables.letters)
    yield "workers alive", None if tables.workers is None else str(tables.workers.get("alive", 0))


def _number(count: Count) -> str:
    return f"{count.jobs}{' or more' if count.capped else ''}"


def _plain(value: Any) -> Any:
    """Give named values as objects, as they are in JSON; their names would be lost."""
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: _plain(each) for name, each in value._asdict().items()}
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return dict(value) if hasattr(value, "keys") else value
