"""What can be done with dead letters: see them, mend them, resolve them, and carry them elsewhere."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import IO, Any, NamedTuple

from jobplatform.actions.action import action
from jobplatform.actions.actor import Actor
from jobplatform.actions.desk import Desk
from jobplatform.actions.payloads import require, shown
from jobplatform.actions.permission import Permission
from jobplatform.errors import Forbidden, InvalidPayload, JobNotFound, JobOptionError, TransitionRefused
from jobplatform.jobs.editing import Change, changed, check_payload, kept, readable
from jobplatform.jobs.letter_lines import check_line
from jobplatform.jobs.payload import encode_payload
from jobplatform.masking import unmasked
from jobplatform.store import dead_letters, letter_files
from jobplatform.store.database import Transaction
from jobplatform.store.dead_letters import LetterFilter

Row = Mapping[str, Any]

#: Dead letters that one transaction resolves.
BATCH = 1_000
#: Lines that one statement writes.
_LINES = 200
MISSING = "dead letter {}: there is none of this id; see: jobplatform dlq list --all"


class Page(NamedTuple):
    """A page of dead letters, and the id after which the next one begins; None when there is none."""

    rows: Sequence[Row]
    next: int | None


class Left(NamedTuple):
    """Dead letters that were named and left alone: not there, resolved already (and as what), not of the filter."""

    missing: Sequence[int]
    resolved: Mapping[int, str]
    unmatched: Sequence[int]


class Resolved(NamedTuple):
    """The dead letters that were resolved, and those that were named and were not."""

    resolved: Sequence[int]
    left: Left


class Edited(NamedTuple):
    """A payload before and after.

    :param checked: whether the arguments were: the job type is known here.
    """

    dlq_id: int
    job_type: str
    checked: bool
    payload: Any
    edited_payload: Any


class Imported(NamedTuple):
    """The lines of a file, and how many dead letters and jobs of them were new."""

    lines: int
    imported: int
    jobs: int


@action("letters.list", Permission.LETTERS_READ)
def list_letters(desk: Desk, actor: Actor, chosen: LetterFilter, limit: int, after: int | None = None) -> Page:
    """List dead letters, newest first.

    :param after: the id of the last one of the page before.
    """
    with desk.look() as session:
        rows = dead_letters.listed(session, within(actor, chosen), limit + 1, after)
    return Page(rows[:limit], rows[limit - 1]["dlq_id"] if len(rows) > limit else None)


@action("letters.count", Permission.LETTERS_READ)
def count_letters(desk: Desk, actor: Actor, chosen: LetterFilter, cap: int) -> int:
    """Count dead letters, up to a number that means as many or more."""
    with desk.look() as session:
        return dead_letters.count(session, within(actor, chosen), cap)


@action("letters.show", Permission.LETTERS_READ)
def show_letter(desk: Desk, actor: Actor, dlq_id: int) -> Row:
    """Show a dead letter with its payloads, its reason and what became of it."""
    with desk.look() as session:
        return shown(desk, actor, _seen(session, actor, dlq_id))


@action("letters.resolve", Permission.LETTERS_RESOLVE, writes=True)
def resolve(desk: Desk, actor: Actor, chosen: LetterFilter, note: str | None) -> Resolved:
    """Mark open dead letters as resolved without running their jobs, by id or by filter.

    :param note: kept with them, such as why none of them is to run.
    :raises JobOptionError: when nothing says which.
    """
    demand(chosen)
    about, meant = as_json(chosen), within(actor, chosen)
    done: list[int] = []
    with desk.stages(actor, "letters.resolve", about, note) as outcome:
        part: Sequence[int] = range(BATCH)
        while len(part) == BATCH:
            with desk.database.transaction() as transaction:
                part = dead_letters.resolve(transaction, meant, actor.name, note, BATCH)
            done += part
            outcome["resolved"] = len(done)
    with desk.look() as session:
        return Resolved(sorted(done), left_of(session, actor, set(chosen.dlq_ids or ()) - set(done)))


@action("letters.edit", Permission.LETTERS_EDIT, writes=True)
def edit(desk: Desk, actor: Actor, dlq_id: int, payload: Any | None, changes: Sequence[Change]) -> Edited:
    """Give a dead letter another payload, with which its job is replayed; the one that failed stays beside it.

    :param payload: a whole one; None changes the one that there is.
    :raises InvalidPayload: for what a submission would refuse.
    :raises TransitionRefused: when it is resolved already.
    :raises SealError: when it is encrypted, and this process has not the key.
    """
    if payload is None and not changes:
        raise JobOptionError("payload: nothing says what to change; give a payload, or changes of the one there is")
    app, limit, ring = desk.application(), desk.settings.payload_limit, desk.settings.encryption_keys
    about = {"dlq_id": dlq_id, "whole": payload is not None, "changes": [list(each.path) for each in changes]}
    with desk.change(actor, "letters.edit", about) as change:
        row = _seen(change.transaction, actor, dlq_id)
        before = readable(ring, row, row["payload"] if row["edited_payload"] is None else row["edited_payload"])
        made = _mended(row, before, payload, changes)
        checked = check_payload(app, row["job_type"], made, limit, bool(row["awaits"]))
        text = kept(ring, row, encode_payload(made["args"], made["kwargs"], limit))
        if not dead_letters.edit(change.transaction, dlq_id, text, actor.name):
            raise TransitionRefused(f"dead letter {dlq_id} is resolved already: {row['resolution']}")
    seen = {"job_type": row["job_type"], "payload": before, "edited_payload": made, "secret": row["secret"]}
    both = shown(desk, actor, seen)
    return Edited(dlq_id, checked=checked, **both)


@action("letters.export", Permission.LETTERS_READ)
def export(desk: Desk, actor: Actor, chosen: LetterFilter) -> Iterator[str]:
    """Give dead letters with their payloads, each as a line of JSON, the oldest first.

    :raises Forbidden: also when payloads may not be seen: a line without its payload is none.
    """
    require(actor, "letters.export")
    desk.note(actor, "letters.export", as_json(chosen), {})
    return _lines(desk, within(actor, chosen))


@action("letters.import", Permission.LETTERS_EDIT, writes=True)
def import_(desk: Desk, actor: Actor, source: IO[bytes]) -> Imported:
    """Take the dead letters that another installation exported; what is here already stays as it is.

    A job that has no row here gets one, so that it can be replayed.

    :param source: can be read twice, as each line is checked before anything is written.
    :raises InvalidPayload: naming the line and the field.
    :raises Forbidden: when not all queues and tenants may be seen.
    """
    if not actor.scope.everywhere:
        raise Forbidden("letters.import", "of all queues and tenants")
    lines = sum(1 for _ in _checked(source))
    source.seek(0)
    letters = jobs = 0
    with desk.change(actor, "letters.import", {"lines": lines}) as change:
        found = _checked(source)
        while batch := list(itertools.islice(found, _LINES)):
            done = letter_files.take(change.transaction, batch)
            letters, jobs = letters + done.letters, jobs + done.jobs
        change.outcome.update(imported=letters, jobs=jobs)
    return Imported(lines, letters, jobs)


def demand(chosen: LetterFilter) -> None:
    """Insist that a filter says which dead letters are meant.

    :raises JobOptionError: when it means all of them.
    """
    if not chosen.names_any:
        raise JobOptionError("filter: nothing says which dead letters; give ids, or a filter such as a job type")


def within(actor: Actor, chosen: LetterFilter) -> LetterFilter:
    """Give a filter within the actor's scope."""
    return replace(chosen, in_queues=actor.scope.queues, in_tenants=actor.scope.tenants)


def as_json(chosen: LetterFilter) -> dict[str, Any]:
    """Give a filter as it is written down."""
    return {name: value for name, value in chosen.parameters().items() if value is not None}


def left_of(session: Transaction, actor: Actor, dlq_ids: Iterable[int]) -> Left:
    """Tell why dead letters that were named were left alone; one out of scope is not there."""
    rows = {dlq_id: _find(session, actor, dlq_id) for dlq_id in sorted(dlq_ids)}
    known = {dlq_id: row["resolution"] for dlq_id, row in rows.items() if row is not None}
    return Left(
        tuple(dlq_id for dlq_id, row in rows.items() if row is None),
        {dlq_id: resolution for dlq_id, resolution in known.items() if resolution is not None},
        tuple(dlq_id for dlq_id, resolution in known.items() if resolution is None),
    )


def _find(session: Transaction, actor: Actor, dlq_id: int) -> Row | None:
    row = dead_letters.show(session, dlq_id)
    return row if row is not None and actor.scope.holds(row["queue"], row["tenant"]) else None


def _seen(session: Transaction, actor: Actor, dlq_id: int) -> Row:
    """Read a dead letter.

    :raises JobNotFound: also when it is out of the actor's scope: that it is there is not to be told.
    """
    row = _find(session, actor, dlq_id)
    if row is None:
        raise JobNotFound(MISSING.format(dlq_id))
    return row


def _mended(row: Row, before: Any, payload: Any | None, changes: Sequence[Change]) -> dict[str, Any]:
    made = changed(before if payload is None else unmasked(payload, before), changes)
    if row["awaits"] and made["args"][:1] != before["args"][:1]:
        raise InvalidPayload("args[0]", "it is made of the results of other jobs when the job runs", "leave it alone")
    return made


def _lines(desk: Desk, chosen: LetterFilter) -> Iterator[str]:
    with desk.look() as session:
        yield from letter_files.export(session, chosen)


def _checked(source: IO[bytes]) -> Iterator[str]:
    for number, raw in enumerate(source, 1):
        try:
            line = raw.decode().strip()
        except UnicodeDecodeError as error:
            raise InvalidPayload(f"line {number}", f"it is no UTF-8 ({error})", "give what dlq export wrote") from error
        if line:
            check_line(number, line)
            yield line
