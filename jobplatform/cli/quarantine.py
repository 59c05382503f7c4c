"""The group ``quarantine``: messages and journal entries that could not be read, and giving them another chance."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import click

from jobplatform.cli.connect import open_database, require_settings
from jobplatform.cli.exits import mapped
from jobplatform.cli.output import Output, json_option
from jobplatform.errors import NotQuarantined, SettingsError, TransitionRefused
from jobplatform.settings import Settings
from jobplatform.store import quarantine as rows
from jobplatform.store.database import Transaction
from jobplatform.transport.publisher import Publisher

Row = Mapping[str, Any]

_COLUMNS = ("quarantine_id", "kind", "queue", "size", "complete", "reason", "quarantined_at", "resolution")
_DONE_COLUMNS = ("quarantine_id", "kind", "queue", "size", "outcome")
_ID = click.IntRange(min=1, max=2**63 - 1)
_KIND = click.Choice(["message", "entry"])
_MISSING = "nothing in quarantine has the id {}; see: jobplatform quarantine list --all"
_SHOWN = 2_000


@click.group(short_help="List, show and replay what could not be read.")
def quarantine() -> None:
    """List, show, replay and discard messages and journal entries that nothing could be made of."""


@quarantine.command("list")
@click.option("--kind", type=_KIND, help="Messages of queues, or entries of the journal.")
@click.option("--queue", help="Messages of this queue.")
@click.option("--all", "resolved_too", is_flag=True, help="What was resolved as well.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="Rows on a page.")
@click.option("--page", type=_ID, metavar="CURSOR", help="The cursor that the page before printed.")
@json_option
@mapped()
def list_quarantine(
    kind: str | None, queue: str | None, resolved_too: bool, limit: int, page: int | None, output: Output
) -> None:
    """List what is in quarantine, newest first."""
    with open_database() as database, database.session() as session:
        found = rows.list_quarantine(session, kind, queue, not resolved_too, limit + 1, page)
    cursor = str(found[limit - 1]["quarantine_id"]) if len(found) > limit else None
    output.page("quarantine", found[:limit], _COLUMNS, cursor)


@quarantine.command("show")
@click.argument("quarantine_id", type=_ID)
@json_option
@mapped()
def show_quarantined(quarantine_id: int, output: Output) -> None:
    """Show why something is in quarantine, and its bytes."""
    with open_database() as database, database.session() as session:
        row = rows.show(session, quarantine_id)
    if row is None:
        raise NotQuarantined(_MISSING.format(quarantine_id))
    raw = bytes(row["entry"])
    told = {name: value for name, value in row.items() if name != "entry"}
    if output.as_json:
        output.json({**told, "raw": base64.b64encode(raw).decode()})
        return
    output.record(told)
    output.block(f"first {_SHOWN} bytes" if len(raw) > _SHOWN else "bytes", _text(raw[:_SHOWN]))


@quarantine.command("replay")
@click.argument("quarantine_ids", type=_ID, nargs=-1)
@click.option("--kind", type=_KIND, help="All open ones of this kind.")
@click.option("--queue", help="All open messages of this queue.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=1000, show_default=True, help="Replay at most.")
@click.option("--dry-run", is_flag=True, help="Change nothing; tell what would be replayed.")
@json_option
@mapped()
def replay(
    quarantine_ids: tuple[int, ...], kind: str | None, queue: str | None, limit: int, dry_run: bool, output: Output
) -> None:
    """Put messages back into their queues, and entries back into the journal, by id or by filter.

    Only what was kept whole can be replayed. Do it once the cause is away, such as after an upgrade.
    """
    settings = require_settings()
    if not settings.journal_url:
        raise SettingsError("REDIS_URL: it is not set; give the URL of the queues and the journal")

    def settle(transaction: Transaction, chosen: Sequence[Row]) -> list[dict[str, Any]]:
        with _publisher(settings) as publisher:
            report = [_told(row, _replay_one(row, settings, publisher, dry_run)) for row in chosen]
        done = [line["quarantine_id"] for line in report if line["outcome"] == "replayed"]
        rows.resolve(transaction, done, "replayed")
        return report

    _settle(quarantine_ids, kind, queue, limit, output, settle)


@quarantine.command("discard")
@click.argument("quarantine_ids", type=_ID, nargs=-1, required=True)
@json_option
@mapped()
def discard(quarantine_ids: tuple[int, ...], output: Output) -> None:
    """Mark what is in quarantine as not worth a replay; the bytes stay."""

    def settle(transaction: Transaction, chosen: Sequence[Row]) -> list[dict[str, Any]]:
        rows.resolve(transaction, [row["quarantine_id"] for row in chosen], "discarded")
        return [_told(row, "discarded") for row in chosen]

    _settle(quarantine_ids, None, None, len(quarantine_ids), output, settle)


@contextmanager
def _publisher(settings: Settings) -> Iterator[Publisher]:
    publisher = Publisher(settings.journal_url, settings.connect_seconds, ring=settings.signing_keys)
    try:
        yield publisher
    finally:
        publisher.close()


def _replay_one(row: Row, settings: Settings, publisher: Publisher, dry_run: bool) -> str:
    """Replay one row unless it cannot be, and tell what was done."""
    problem = _obstacle(row, settings)
    if problem is not None:
        return problem
    if dry_run:
        return "would replay"
    if row["kind"] == "message":
        publisher.push_raw(row["queue"], bytes(row["entry"]))
    else:
        publisher.journal_raw(row["field"], bytes(row["entry"]))
    return "replayed"


def _obstacle(row: Row, settings: Settings) -> str | None:
    """Tell why a row cannot be replayed, None when it can."""
    if not row["complete"]:
        return f"refused: only {len(row['entry'])} of its {row['size']} bytes were kept"
    if not row["size"]:
        return "refused: it is empty"
    if row["kind"] == "message" and not settings.leases:
        return "refused: the broker is no Redis that the platform speaks to; publish it by hand"
    if row["kind"] == "message" and not row["queue"]:
        return "refused: its queue is not known"
    return None


def _told(row: Row, outcome: str) -> dict[str, Any]:
    return {name: row[name] for name in ("quarantine_id", "kind", "queue", "size")} | {"outcome": outcome}


def _settle(
    ids: Sequence[int],
    kind: str | None,
    queue: str | None,
    limit: int,
    output: Output,
    settle: Callable[[Transaction, Sequence[Row]], list[dict[str, Any]]],
) -> None:
    """Do something to open rows in one transaction and report what became of each.

    :raises NotQuarantined: when an id that was asked for is not there.
    :raises TransitionRefused: when one is resolved already, or was refused.
    """
    if not (ids or kind or queue):
        raise click.UsageError("nothing says which ones; give ids, --kind or --queue")
    wanted = list(dict.fromkeys(ids)) or None
    with open_database() as database, database.transaction() as transaction:
        chosen = rows.claim(transaction, wanted, kind, queue, len(wanted) if wanted else limit)
        report = settle(transaction, chosen)
        absent = sorted(set(wanted or ()) - {row["quarantine_id"] for row in chosen})
        known = {quarantine_id: rows.show(transaction, quarantine_id) for quarantine_id in absent}
    if output.as_json:
        output.json(report)
    else:
        output.table(report, _DONE_COLUMNS, empty="nothing that is open in quarantine matches")
    _complain(report, known)


def _complain(report: Sequence[Row], absent: Mapping[int, Row | None]) -> None:
    for quarantine_id, row in absent.items():
        if row is None:
            raise NotQuarantined(_MISSING.format(quarantine_id))
        if row["resolved_at"] is not None:
            raise TransitionRefused(f"{quarantine_id} is resolved already: {row['resolution']}")
        raise NotQuarantined(f"{quarantine_id} does not match --kind or --queue, or somebody else works on it")
    refused = next((line for line in report if line["outcome"].startswith("refused")), None)
    if refused is not None:
        raise TransitionRefused(f"{refused['quarantine_id']}: {refused['outcome']}")


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")
