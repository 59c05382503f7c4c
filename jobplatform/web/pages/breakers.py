"""Breakers: what is held as others fail of the same cause, and saying otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from jobplatform.actions import breakers
from jobplatform.errors import JobOptionError, RequestRefused
from jobplatform.web.page import go, page
from jobplatform.web.question import Question, ask, is_sure, unsure
from jobplatform.web.rule import does
from jobplatform.web.visit import Visit, Visiting
from jobplatform.web.wording import ago, plural

router = APIRouter()

#: What a breaker can be asked: what is said to the store, on the button, before it is done, and after.
_FORCES = {
    "open": (
        "open",
        "Open",
        "All that fails of it is held from now on, and none of it tries, until somebody says otherwise.",
        "is held open",
    ),
    "closed": (
        "closed",
        "Close",
        "Nothing that fails of it is held, and what is held goes on, until somebody says otherwise.",
        "is held closed",
    ),
    "auto": (
        None,
        "Reset",
        "It decides by itself again: it opens when nearly all that needs it fails, and closes once jobs succeed.",
        "decides by itself again",
    ),
}
_STATES = {"open": "Holds what fails of it", "releasing": "Lets go what it held", "closed": "Holds nothing"}


@router.get("/breakers")
@does("breakers.list")
def list_breakers(request: Request, visit: Visiting, every: bool = False) -> Response:
    """List the breakers that hold jobs, or that somebody forced."""
    rows = breakers.list_breakers(*visit, every)
    return page(request, "breakers.html", rows=rows, every=every, sentence=sentence)


@router.post("/breakers/force")
@does("breakers.list", "breakers.force")
def force(
    request: Request,
    visit: Visiting,
    cause: Annotated[str, Form(max_length=200)],
    forced: Annotated[str, Form()],
    sure: Annotated[str, Form()] = "",
    typed: Annotated[str, Form()] = "",
) -> Response:
    """Force a breaker open or closed, or let it decide by itself."""
    if forced not in _FORCES:
        raise RequestRefused(f"forced: {forced[:50]!r} is none; choose one of {', '.join(_FORCES)}")
    if not cause.strip():
        raise JobOptionError("cause: there is none; name one, such as host:api.local")
    if not is_sure(sure, typed):
        return ask(request, _question(visit, cause.strip(), forced)._replace(problem=unsure(sure)))
    breakers.force(*visit, [cause.strip()], _FORCES[forced][0])
    return go(request, "/breakers", f"{cause.strip()} {_FORCES[forced][3]}.")


def _question(visit: Visit, cause: str, forced: str) -> Question:
    _, verb, words, _ = _FORCES[forced]
    rows = breakers.list_breakers(*visit, True)
    held = next((row["held"] for row in rows if row["cause"] == cause), 0)
    return Question(
        title=f"{verb} the breaker of {cause}?",
        words=f"{words} It holds {plural(held, 'job')} now." if held else words,
        action="/breakers/force",
        verb=f"{verb} it",
        fields=[("cause", cause), ("forced", forced)],
        jobs=1 if forced == "open" else max(1, held),
        back="/breakers",
        harm=forced == "open",
    )


def sentence(row: Mapping[str, Any], now: datetime) -> str:
    """Say what a breaker does and why, with its numbers."""
    opened = "" if row["state"] == "closed" else f" (opened {ago(row['opened_at'], now)})"
    said = f"{_STATES.get(row['state'], row['state'])}{opened}: {row['reason'].rstrip('.')}."
    if row["forced"]:
        return f"{said} {row['forced_by'] or 'Somebody'} forced it {row['forced']}, and so it stays until it is reset."
    if row["held"]:
        said += f" It holds {plural(row['held'], 'job')}."
    if row["canary_at"]:
        return f"{said} One job tries, let go {ago(row['canary_at'], now)}."
    if row["state"] == "open" and row["probe_at"]:
        when = "at any moment" if row["probe_at"] <= now else ago(row["probe_at"], now)
        return f"{said} The next job tries {when}, after {plural(row['probes'], 'try', 'tries')} in vain."
    return said
