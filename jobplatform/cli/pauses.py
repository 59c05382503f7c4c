"""The groups ``queues`` and ``types``: what is paused, and pausing it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import click

from jobplatform.actions import job_types
from jobplatform.actions import queues as actions
from jobplatform.actions.actor import Actor
from jobplatform.actions.desk import Desk
from jobplatform.actions.queues import Paused
from jobplatform.cli.desk import open_desk
from jobplatform.cli.exits import CommandError, Exit, mapped
from jobplatform.cli.holding import holding
from jobplatform.cli.output import Output, json_option
from jobplatform.store.pauses import Hold, Scope

_PAUSE_COLUMNS = ("paused", "reason", "paused_by", "paused_at", "paused_until")


class Noun(NamedTuple):
    """What a group is about.

    :param words: of one of them.
    """

    scope: Scope
    words: str
    columns: tuple[str, ...]
    listed: Callable[[Desk, Actor], list[dict[str, Any]]]
    pause: Callable[[Desk, Actor, Sequence[str], Hold], Paused]
    resume: Callable[[Desk, Actor, Sequence[str]], Sequence[str]]


def _group(noun: Noun) -> click.Group:
    """Make the group of one noun."""
    plural, words = f"{noun.scope}s", noun.words
    line = f"List, pause and resume {words}s."

    @click.group(plural, help=line, short_help=line)
    def group() -> None:
        """See ``help``."""

    @group.command("list", help=f"List the {words}s that workers take, and those that are paused.")
    @json_option
    @mapped()
    def list_all(output: Output) -> None:
        with open_desk() as (desk, actor):
            rows = noun.listed(desk, actor)
        if output.as_json:
            output.json({plural: rows})
        else:
            output.table(rows, (*noun.columns, *_PAUSE_COLUMNS), empty=f"no {words}s are known")

    @group.command("pause", help=f"Pause {words}s: what runs goes on, and nothing more begins.")
    @click.argument("names", nargs=-1, required=True)
    @holding
    @json_option
    @mapped()
    def pause(names: tuple[str, ...], hold: Hold, output: Output) -> None:
        with open_desk() as (desk, actor):
            done = noun.pause(desk, actor, names, hold)
        _report(names, "paused", output)
        for name in done.unknown:
            output.note(f"no worker that is alive takes {words} {name}")

    @group.command("resume", help=f"Resume {words}s.")
    @click.argument("names", nargs=-1, required=True)
    @json_option
    @mapped()
    def resume(names: tuple[str, ...], output: Output) -> None:
        with open_desk() as (desk, actor):
            resumed = noun.resume(desk, actor, names)
        _report(resumed, "resumed", output)
        for name in sorted(set(names) - set(resumed)):
            raise CommandError(f"{words} {name} is not paused; see: jobplatform {plural} list", Exit.CONFLICT)

    return group


def _report(names: Iterable[str], outcome: str, output: Output) -> None:
    rows = [{"name": name, "outcome": outcome} for name in names]
    if output.as_json:
        output.json(rows)
    else:
        output.table(rows, ("name", "outcome"), empty=f"nothing was {outcome}")


queues = _group(
    Noun(
        Scope.QUEUE,
        "queue",
        ("name", "waiting"),
        actions.list_queues,
        actions.pause_queues,
        actions.resume_queues,
    )
)
types = _group(Noun(Scope.TYPE, "job type", ("name",), actions.list_types, actions.pause_types, actions.resume_types))


@types.command("show")
@click.argument("name")
@json_option
@mapped()
def show_type(name: str, output: Output) -> None:
    """Show what a job type takes, as JSON Schema, and how it is declared, as a controller has told."""
    with open_desk() as (desk, actor):
        row = job_types.show_job_type(desk, actor, name)
    if output.as_json:
        output.json(dict(row))
        return
    output.record({key: row[key] for key in ("name", "words", "queue", "tool", "changed_at")} | row["options"])
    if row["schema"] is not None:
        output.block("arguments", json.dumps(row["schema"], indent=2))
