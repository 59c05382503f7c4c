"""What could not be read, over HTTP."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query, Request
from fastapi.responses import Response
from pydantic import Field

from jobplatform.actions import quarantine
from jobplatform.actions.quarantine import Choice
from jobplatform.web import cursor
from jobplatform.web.api.body import After, Body, Limit, Name, Number, Numbers
from jobplatform.web.api.reply import answer, page
from jobplatform.web.api.route import noun
from jobplatform.web.gives import gives, gives_page
from jobplatform.web.rule import does
from jobplatform.web.visit import Visiting

router = noun("dead letters")

Part = Annotated[str, Path(min_length=1, max_length=200)]
Asked = Annotated[str | None, Query(max_length=200)]


class Quarantined(Body):
    """What of the quarantine goes back: some by id, or the oldest of a kind or a queue."""

    ids: Numbers | None = None
    kind: Name | None = None
    queue: Name | None = None
    limit: Annotated[int, Field(ge=1, le=1_000)] = 1_000
    dry_run: bool = False


class Ids(Body):
    """Numbers of what is in quarantine."""

    ids: Numbers


@router.get("/quarantine")
@does("quarantine.list")
@gives_page(quarantine.list_quarantine)
def list_quarantine(
    request: Request,
    visit: Visiting,
    kind: Asked = None,
    queue: Asked = None,
    resolved: bool = False,
    limit: Limit = 50,
    after: After = None,
) -> Response:
    """List what is in quarantine without its bytes, newest first."""
    found = quarantine.list_quarantine(*visit, kind, queue, resolved, limit, cursor.read_number(after))
    return page(request, found.rows, found.next)


@router.get("/quarantine/{quarantine_id}")
@does("quarantine.show")
@gives(quarantine.show_quarantined)
def show_quarantined(request: Request, visit: Visiting, quarantine_id: Number) -> Response:
    """Show why something is in quarantine, with its bytes in hexadecimal for who may see payloads."""
    return answer(request, quarantine.show_quarantined(*visit, quarantine_id))


@router.post("/quarantine/replay")
@does("quarantine.replay")
@gives(quarantine.replay)
def replay_quarantined(request: Request, visit: Visiting, asked: Quarantined) -> Response:
    """Put messages back into their queues, and entries back into the journal; only what was kept whole."""
    choice = Choice(tuple(asked.ids or ()), asked.kind, asked.queue, asked.limit)
    return answer(request, quarantine.replay(*visit, choice, asked.dry_run))


@router.post("/quarantine/discard")
@does("quarantine.discard")
@gives(quarantine.discard)
def discard(request: Request, visit: Visiting, asked: Ids) -> Response:
    """Mark what is in quarantine as not worth a replay; the bytes stay."""
    return answer(request, quarantine.discard(*visit, asked.ids))
