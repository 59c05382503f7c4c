"""The quarantine: what could not be read, why, giving it another chance, and letting it be."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from fastapi import APIRouter, Form, Path, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from jobplatform.actions import quarantine
from jobplatform.actions.quarantine import Choice, Settled
from jobplatform.errors import RequestRefused
from jobplatform.web.entrance import local
from jobplatform.web.page import go, page
from jobplatform.web.question import Question, ask, is_sure, unsure
from jobplatform.web.readable import MOST, readable
from jobplatform.web.rule import does
from jobplatform.web.visit import Visit, Visiting

router = APIRouter()

_ROWS, _LARGEST = 50, 2**62
#: As many of all that match are replayed or discarded at once, the newest ones.
_AT_ONCE = 500
_KINDS = ("message", "entry")


class Asked(BaseModel):
    """What is to be done with what of the quarantine.

    :param whole: all that match, and not those of these numbers.
    """

    quarantine_id: list[Annotated[int, Field(ge=1, le=_LARGEST)]] = []
    whole: bool = False
    kind: str = ""
    queue: str = ""
    back: str = "/quarantine"
    sure: str = ""
    typed: str = ""


@router.get("/quarantine")
@does("quarantine.list")
def list_quarantine(
    request: Request,
    visit: Visiting,
    kind: str = "",
    queue: str = "",
    resolved: bool = False,
    after: Annotated[int | None, Query(ge=1, le=_LARGEST)] = None,
) -> Response:
    """List what is in quarantine, newest first."""
    _check(kind)
    found = quarantine.list_quarantine(*visit, kind or None, queue or None, resolved, _ROWS, after)
    return page(
        request,
        "quarantine.html",
        rows=found.rows,
        next=found.next,
        after=after,
        kind=kind,
        kinds=_KINDS,
        queue=queue,
        resolved=resolved,
    )


@router.get("/quarantine/{quarantine_id}")
@does("quarantine.show")
def show_quarantined(
    request: Request, visit: Visiting, quarantine_id: Annotated[int, Path(ge=1, le=_LARGEST)]
) -> Response:
    """Show why something is in quarantine, and what it says as far as it can be read."""
    row = quarantine.show_quarantined(*visit, quarantine_id)
    entry = row["entry"]
    text = None if entry is None else readable(entry)
    return page(request, "quarantined.html", row=row, text=text, more=entry is not None and len(entry) > MOST)


@router.post("/quarantine/do/{verb}")
@does("quarantine.list", "quarantine.replay", "quarantine.discard")
def steer(request: Request, visit: Visiting, verb: str, asked: Annotated[Asked, Form()]) -> Response:
    """Replay or discard what is in quarantine, once somebody is sure."""
    if verb not in ("replay", "discard"):
        raise RequestRefused(f"verb: {verb[:50]!r} is none; choose replay or discard", 404)
    _check(asked.kind)
    choice = _choice(visit, asked)
    if not is_sure(asked.sure, asked.typed):
        question = _replaying(visit, choice) if verb == "replay" else _discarding(choice)
        back = ("back", asked.back)
        known = question._replace(fields=[*question.fields, back], back=local(asked.back), problem=unsure(asked.sure))
        return ask(request, known)
    done = quarantine.replay(*visit, choice) if verb == "replay" else quarantine.discard(*visit, choice.ids)
    return go(request, local(asked.back), _told(done))


def _check(kind: str) -> None:
    if kind and kind not in _KINDS:
        raise RequestRefused(f"kind: it is none; choose one of {', '.join(_KINDS)}")


def _choice(visit: Visit, asked: Asked) -> Choice:
    """Say which are meant; of all that match, these are named now, so that who is sure has seen how many."""
    if asked.whole:
        kind, queue = asked.kind or None, asked.queue or None
        found = quarantine.list_quarantine(*visit, kind, queue, False, _AT_ONCE).rows
        if not found:
            raise RequestRefused("quarantine: nothing that is open matches; look at all of it")
        return Choice(tuple(row["quarantine_id"] for row in found))
    if not asked.quarantine_id:
        raise RequestRefused("quarantine: none was selected; select some rows, or choose all that match")
    return Choice(tuple(asked.quarantine_id))


def _named(ids: Iterable[int]) -> list[tuple[str, str]]:
    return [("quarantine_id", str(each)) for each in ids]


def _replaying(visit: Visit, choice: Choice) -> Question:
    planned = quarantine.replay(*visit, choice, dry_run=True)
    ids = [row["quarantine_id"] for row in planned.rows if row["outcome"] == "would replay"]
    return Question(
        title=f"Replay {len(ids):,} from the quarantine?",
        words="Messages go back into their queues, and entries back into the journal; do it once the cause is away. "
        + " ".join(_obstacles(planned)),
        action="/quarantine/do/replay",
        verb=f"Replay {len(ids):,}",
        fields=_named(ids),
        jobs=len(ids),
        back="/quarantine",
    )


def _discarding(choice: Choice) -> Question:
    return Question(
        title=f"Discard {len(choice.ids):,} from the quarantine?",
        words="They are marked as not worth a replay, and their jobs do not run by them; the bytes stay.",
        action="/quarantine/do/discard",
        verb=f"Discard {len(choice.ids):,}",
        fields=_named(choice.ids),
        jobs=len(choice.ids),
        back="/quarantine",
        harm=True,
    )


def _obstacles(done: Settled) -> list[str]:
    """Say of each that is left as it is, why."""
    refused = {row["outcome"] for row in done.rows if row["outcome"].startswith("refused")}
    return [f"{each.capitalize()}." for each in sorted(refused)] + [f"{each}." for each in done.missing.values()]


def _told(done: Settled) -> str:
    count = sum(not row["outcome"].startswith("refused") for row in done.rows)
    outcome = next((row["outcome"] for row in done.rows if not row["outcome"].startswith("refused")), "done")
    return " ".join([f"{count:,} {outcome}.", *_obstacles(done)])
