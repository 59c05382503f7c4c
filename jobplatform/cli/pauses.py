"""The groups ``queues`` and ``types``: what is paused, and pausing it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from typing import Any

import click

from jobplatform.cli.connect import open_database, require_settings
from jobplatform.cli.exits import CommandError, Exit, mapped
from jobplatform.cli.holding import holding
from jobplatform.cli.output import Output, json_option
from jobplatform.journal.writer import connect
from jobplatform.settings import Settings
from jobplatform.store import pauses, workers
from jobplatform.store.database import Transaction
from jobplatform.store.pauses import Hold, Scope
from jobplatform.transport import census

_PAUSE_COLUMNS = ("paused", "reason", "paused_by", "paused_at", "paused_until")

#: Names what workers take, and more that is named, each with what is known of it.
Found = Callable[[Settings, Transaction, Iterable[str]], Mapping[str, Mapping[str, Any]]]


def _group(scope: Scope, noun: str, columns: tuple[str, ...], found: Found) -> click.Group:
    """Make the group of one scope.

    :param noun: what it is about, in words.
    """

    line = f"List, pause and resume {noun}s."

    @click.group(f"{scope}s", help=line, short_help=line)
    def group() -> None:
        """See ``help``."""

    @group.command("list", help=f"List the {noun}s that workers take, and those that are paused.")
    @json_option
    @mapped()
    def list_all(output: Output) -> None:
        settings = require_settings()
        with open_database(settings) as database, database.session() as session:
            paused = {row["name"]: row for row in pauses.list_pauses(session) if row["scope"] == scope}
            known = found(settings, session, paused)
        rows = [_row(name, known[name], paused.get(name)) for name in sorted(known)]
        if output.as_json:
            output.json({f"{scope}s": rows})
        else:
            output.table(rows, (*columns, *_PAUSE_COLUMNS), empty=f"no {noun}s are known")

    @group.command("pause", help=f"Pause {noun}s: what runs goes on, and nothing more begins.")
    @click.argument("names", nargs=-1, required=True)
    @holding
    @json_option
    @mapped()
    def pause(names: tuple[str, ...], hold: Hold, output: Output) -> None:
        settings = _with_leases()
        with open_database(settings) as database, database.transaction() as transaction:
            for name in names:
                pauses.pause(transaction, scope, name, hold)
            known = found(settings, transaction, ())
        _report(names, "paused", output)
        for name in sorted(set(names) - set(known)):
            output.note(f"no worker that is alive takes {noun} {name}")

    @group.command("resume", help=f"Resume {noun}s.")
    @click.argument("names", nargs=-1, required=True)
    @json_option
    @mapped()
    def resume(names: tuple[str, ...], output: Output) -> None:
        with open_database() as database, database.transaction() as transaction:
            resumed = pauses.resume(transaction, scope, names)
        _report(resumed, "resumed", output)
        for name in sorted(set(names) - set(resumed)):
            raise CommandError(f"{noun} {name} is not paused; see: jobplatform {scope}s list", Exit.CONFLICT)

    return group


def _with_leases() -> Settings:
    """Read the settings.

    :raises CommandError: when the broker hands out messages without asking us.
    """
    settings = require_settings()
    if not settings.leases:
        raise CommandError("the broker is no Redis of the platform, and cannot be told what is paused", Exit.FAILED)
    return settings


def _row(name: str, known: Mapping[str, Any], pause: Mapping[str, Any] | None) -> dict[str, Any]:
    shown = {column: (pause or {}).get(column) for column in _PAUSE_COLUMNS[1:]}
    return {"name": name, **known, "paused": pause is not None, **shown}


def _report(names: Iterable[str], outcome: str, output: Output) -> None:
    rows = [{"name": name, "outcome": outcome} for name in names]
    if output.as_json:
        output.json(rows)
    else:
        output.table(rows, ("name", "outcome"), empty=f"nothing was {outcome}")


def _queues(settings: Settings, transaction: Transaction, more: Iterable[str]) -> dict[str, dict[str, Any]]:
    names = {queue for _, taken in workers.skills(transaction) for queue in taken or ()}
    with closing(connect(settings.journal_url, timeout=settings.connect_seconds)) as client:
        return {queue: {"waiting": census.waiting(client, queue)} for queue in {*names, *settings.queues, *more}}


def _types(settings: Settings, transaction: Transaction, more: Iterable[str]) -> dict[str, dict[str, Any]]:
    known = {name for types, _ in workers.skills(transaction) for name in types or ()}
    return {name: {} for name in {*known, *more}}


queues = _group(Scope.QUEUE, "queue", ("name", "waiting"), _queues)
types = _group(Scope.TYPE, "job type", ("name",), _types)
