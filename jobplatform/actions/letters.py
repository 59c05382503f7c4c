"""What can be done with dead letters: see them, mend them, resolve them, and carry them elsewhere."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import IO, Annotated, Any, NamedTuple

from jobplatform.actions import submission
from jobplatform.actions.action import action
from jobplatform.actions.actor import Actor
from jobplatform.actions.desk import Desk
from jobplatform.actions.differences import Difference, differences, edited
from jobplatform.actions.payloads import require, shown
from jobplatform.actions.permission import Permission
from jobplatform.errors import (
    Forbidden,
    InvalidPayload,
    JobNotFound,
    JobOptionError,
    PayloadProblems,
    TransitionRefused,
)
from jobplatform.jobs.editing import Change, check_payload, kept, readable
from jobplatform.jobs.letter_lines import check_line
from jobplatform.jobs.payload import encode_payload
from jobplatform.masking import mask
from jobplatform.store import dead_letters, letter_files
from jobplatform.store.database import Transaction
from jobplatform.store.dead_letters import LetterFilter
from jobplatform.store.shapes.letter import Letter, LetterListed

Row = Mapping[str, Any]

#: Dead letters that one transaction resolves.
BATCH = 1_000
#: Lines that one statement writes.
_LINES = 200
MISSING = "dead letter {}: there is none of this id; see: jobplatform dlq list --all"


class Page(NamedTuple):
    """A page of dead letters, and the id after which the next one begins; None when there is none."""

    rows: Sequence[Annotated[Row, LetterListed]]
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

    :param checked: whether the arguments were: the job type is known here, or was told of.
    :param changes: what the two have apart; none are told to who may not see payloads.
    :param kept: whether it was written; a dry run only tells.
    """

    dlq_id: int
    job_type: str
    checked: bool
    payload: Any
    edited_payload: Any
    changes: Sequence[Difference] = ()
    kept: bool = True


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
def show_letter(desk: Desk, actor: Actor, dlq_id: int) -> Annotated[Row, Letter]:
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
def edit(
    desk: Desk, actor: Actor, dlq_id: int, payload: Any | None, changes: Sequence[Change], dry_run: bool = False
) -> Edited:
    """Give a dead letter another payload, with which its job is replayed; the one that failed stays beside it.

    A mask that stands where it was seen keeps what is stored there; one anywhere else is refused.

    :param payload: a whole one; None changes the one that there is.
    :param dry_run: check all of it, tell what changes, and write nothing.
    :raises InvalidPayload: for what a submission would refuse, and for a mask out of place.
    :raises TransitionRefused: when it is resolved already.
    :raises SealError: when it is encrypted, and this process has not the key.
    """
    if payload is None and not changes:
        raise JobOptionError("payload: nothing says what to change; give a payload, or changes of the one there is")
    app, about = desk.application(), {"dlq_id": dlq_id, "whole": payload is not None}
    if dry_run:
        with desk.look() as session:
            return _edited(desk, actor, app, _open(session, actor, dlq_id), payload, changes)[0]._replace(kept=False)
    with desk.change(actor, "letters.edit", {**about, "changes": [list(each.path) for each in changes]}) as change:
        done, text = _edited(desk, actor, app, _open(change.transaction, actor, dlq_id), payload, changes)
        if not dead_letters.edit(change.transaction, dlq_id, text, actor.name):
            raise TransitionRefused(f"dead letter {dlq_id} was resolved meanwhile; look what became of it")
    return done


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


def _open(session: Transaction, actor: Actor, dlq_id: int) -> Row:
    """Read a dead letter that can be edited.

    :raises TransitionRefused: when it is resolved.
    """
    row = _seen(session, actor, dlq_id)
    if row["resolution"] is not None:
        raise TransitionRefused(f"dead letter {dlq_id} is resolved already: {row['resolution']}")
    return row


def _edited(
    desk: Desk, actor: Actor, app: Any, row: Row, payload: Any | None, changes: Sequence[Change]
) -> tuple[Edited, str]:
    """Make another payload: what it is as it may be seen, and the text that is written."""
    ring, limit = desk.settings.encryption_keys, desk.settings.payload_limit
    before = readable(ring, row, row["payload"] if row["edited_payload"] is None else row["edited_payload"])
    saw = mask(before, row["secret"] or ())
    made = edited(payload, changes, before, saw, limit)
    if row["awaits"] and made["args"][:1] != before["args"][:1]:
        raise InvalidPayload("args[0]", "it is made of the results of other jobs when the job runs", "leave it alone")
    checked = check_payload(app, row["job_type"], made, limit, bool(row["awaits"])) or _fits(desk, row, made)
    text = kept(ring, row, encode_payload(made["args"], made["kwargs"], limit))
    seen = {"job_type": row["job_type"], "payload": before, "edited_payload": made, "secret": row["secret"]}
    apart = differences(before, made, (saw, mask(made, row["secret"] or ())))
    told_of = apart if actor.may(Permission.JOBS_PAYLOAD) else ()
    return Edited(row["dlq_id"], checked=checked, **shown(desk, actor, seen), changes=told_of), text


def _fits(desk: Desk, row: Row, payload: Mapping[str, Any]) -> bool:
    """Hold a payload against the schema that was told of its type; False when there is none to say.

    :raises PayloadProblems: naming each field that does not fit.
    """
    if row["awaits"]:
        return False
    known = submission.told(desk, [row["job_type"]]).get(row["job_type"])
    found = submission.schema_problems(known, None, payload["args"], payload["kwargs"])
    if found:
        raise PayloadProblems(row["job_type"], tuple(found))
    return found is not None


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
