"""What could not be read: seeing it, giving it another chance, and letting it be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, NamedTuple

from jobplatform.actions.action import action
from jobplatform.actions.actor import Actor
from jobplatform.actions.desk import Desk
from jobplatform.actions.permission import Permission
from jobplatform.errors import JobOptionError, NotQuarantined, SettingsError
from jobplatform.settings import Settings
from jobplatform.store import quarantine as rows
from jobplatform.store.database import Transaction
from jobplatform.store.shapes.quarantine import Unreadable, UnreadableListed, UnreadableSettled
from jobplatform.transport.publisher import Publisher

Row = Mapping[str, Any]

_MISSING = "nothing in quarantine has the id {}; see: jobplatform quarantine list --all"


class Page(NamedTuple):
    """A page, and the id before which the next one begins; None when there is none."""

    rows: Sequence[Annotated[Row, UnreadableListed]]
    next: int | None


class Choice(NamedTuple):
    """Which of what is open: some by id, or all of a kind or a queue, so many at most."""

    ids: tuple[int, ...] = ()
    kind: str | None = None
    queue: str | None = None
    limit: int = 1000


class Settled(NamedTuple):
    """What became of each.

    :param rows: with the ``outcome`` of each.
    :param missing: those that were named, and why nothing was done with them.
    :param resolved: those of them that are resolved already.
    """

    rows: Sequence[Annotated[Row, UnreadableSettled]]
    missing: Mapping[int, str]
    resolved: frozenset[int] = frozenset()


@action("quarantine.list", Permission.LETTERS_READ)
def list_quarantine(
    desk: Desk,
    actor: Actor,
    kind: str | None = None,
    queue: str | None = None,
    resolved_too: bool = False,
    limit: int = 50,
    before: int | None = None,
) -> Page:
    """List what is in quarantine without its bytes, newest first."""
    with desk.look() as session:
        found = rows.list_quarantine(session, kind, queue, not resolved_too, limit + 1, before, _queues(actor))
    return Page(found[:limit], found[limit - 1]["quarantine_id"] if len(found) > limit else None)


@action("quarantine.show", Permission.LETTERS_READ)
def show_quarantined(desk: Desk, actor: Actor, quarantine_id: int) -> Annotated[Row, Unreadable]:
    """Show why something is in quarantine; its bytes are None for who may not see payloads.

    :raises NotQuarantined: when there is none of the id, or it is out of the actor's scope.
    """
    with desk.look() as session:
        row = rows.show(session, quarantine_id)
    if row is None or not _is_seen(actor, row):
        raise NotQuarantined(_MISSING.format(quarantine_id))
    entry = bytes(row["entry"]) if actor.may(Permission.JOBS_PAYLOAD) else None
    return {**row, "entry": entry}


@action("quarantine.replay", Permission.LETTERS_REPLAY, writes=True)
def replay(desk: Desk, actor: Actor, choice: Choice, dry_run: bool = False) -> Settled:
    """Put messages back into their queues, and entries back into the journal; only what was kept whole.

    :param dry_run: change nothing; tell what would be replayed.
    """
    settings = desk.settings
    if not settings.journal_url:
        raise SettingsError("REDIS_URL: it is not set; give the URL of the queues and the journal")

    def settle(transaction: Transaction, chosen: Sequence[Row]) -> list[dict[str, Any]]:
        with _publisher(settings) as publisher:
            report = [_told(row, _replay_one(row, settings, publisher, dry_run)) for row in chosen]
        done = [line["quarantine_id"] for line in report if line["outcome"] == "replayed"]
        rows.resolve(transaction, done, "replayed")
        return report

    return _settle(desk, actor, "quarantine.replay", choice, settle, dry_run)


@action("quarantine.discard", Permission.LETTERS_RESOLVE, writes=True)
def discard(desk: Desk, actor: Actor, ids: Sequence[int]) -> Settled:
    """Mark what is in quarantine as not worth a replay; the bytes stay.

    :raises JobOptionError: when nothing says what.
    """
    if not ids:
        raise JobOptionError("ids: nothing says what to discard; name it, as jobplatform quarantine list does")

    def settle(transaction: Transaction, chosen: Sequence[Row]) -> list[dict[str, Any]]:
        rows.resolve(transaction, [row["quarantine_id"] for row in chosen], "discarded")
        return [_told(row, "discarded") for row in chosen]

    return _settle(desk, actor, "quarantine.discard", Choice(tuple(ids)), settle)


def _settle(
    desk: Desk,
    actor: Actor,
    name: str,
    choice: Choice,
    settle: Callable[[Transaction, Sequence[Row]], list[dict[str, Any]]],
    dry_run: bool = False,
) -> Settled:
    """Do something to open rows in one transaction, and tell what became of each."""
    wanted = list(dict.fromkeys(choice.ids)) or None
    limit = len(wanted) if wanted else choice.limit
    with _written(desk, actor, name, choice, dry_run) as (transaction, outcome):
        chosen = rows.claim(transaction, wanted, choice.kind, choice.queue, limit, _queues(actor))
        report = settle(transaction, chosen)
        absent = sorted(set(wanted or ()) - {row["quarantine_id"] for row in chosen})
        known = {each: rows.show(transaction, each) for each in absent}
        outcome["quarantine_ids"] = [row["quarantine_id"] for row in report if not row["outcome"].startswith("refused")]
    seen = {each: row if row and _is_seen(actor, row) else None for each, row in known.items()}
    resolved = frozenset(each for each, row in seen.items() if row and row["resolved_at"])
    return Settled(report, {each: _why_not(each, row) for each, row in seen.items()}, resolved)


@contextmanager
def _written(
    desk: Desk, actor: Actor, name: str, choice: Choice, dry_run: bool
) -> Iterator[tuple[Transaction, dict[str, Any]]]:
    """Open a transaction that is written down, unless it changes nothing."""
    if dry_run:
        with desk.database.transaction() as transaction:
            yield transaction, {}
        return
    about = {key: value for key, value in choice._asdict().items() if value}
    with desk.change(actor, name, about) as change:
        yield change.transaction, change.outcome


def _queues(actor: Actor) -> frozenset[str] | None:
    """Give the queues of the actor's scope; whose message it is no tenant can tell, so who has tenants sees none."""
    return frozenset() if actor.scope.tenants is not None else actor.scope.queues


def _is_seen(actor: Actor, row: Row) -> bool:
    queues = _queues(actor)
    return queues is None or row["queue"] in queues


def _why_not(quarantine_id: int, row: Row | None) -> str:
    if row is None:
        return _MISSING.format(quarantine_id)
    if row["resolved_at"] is not None:
        return f"{quarantine_id} is resolved already: {row['resolution']}"
    return f"{quarantine_id} does not match --kind or --queue, or somebody else works on it"


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
