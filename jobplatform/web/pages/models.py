"""Models: what each learned, how it did, and who decides on the retries of each job type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Form, Path, Query, Request
from fastapi.responses import Response

from jobplatform.actions import models
from jobplatform.errors import RequestRefused
from jobplatform.store.models import RETRY
from jobplatform.web import reliability
from jobplatform.web.page import go, page
from jobplatform.web.question import Blank, Question, ask, is_sure
from jobplatform.web.rule import does
from jobplatform.web.visit import Visiting

router = APIRouter()

_ROWS = 50
_MOST = 2**31 - 1
_WORDS = {
    "promote": "It is put in force, and foretells from now on.",
    "retire": "It is taken out of use; what was in force before it, or the rule, decides.",
}


@router.get("/models")
@does("models.list", "models.types")
def list_models(
    request: Request, visit: Visiting, after: Annotated[int | None, Query(ge=1, le=_MOST)] = None
) -> Response:
    """List models, newest first, and who decides on each job type."""
    found = models.list_models(*visit, None, _ROWS, after)
    trials = models.list_types(*visit)
    return page(request, "models.html", rows=found.rows, next=found.next, after=after, trials=trials)


@router.get("/models/{version}")
@does("models.show")
def show_model(request: Request, visit: Visiting, version: Annotated[int, Path(ge=1, le=_MOST)]) -> Response:
    """Show a model: how it did, and how far what comes now is from what it learned from."""
    found = models.show_model(*visit, version)
    # What is kept of other kinds in this place is no calibration.
    points = found.model["calibration"] if found.model["kind"] == RETRY else []
    return page(
        request,
        "model.html",
        model=found.model,
        drift=found.drift,
        plot=reliability.plot(points) if points else None,
        side=reliability.SIDE,
        frame=(reliability.LEFT, reliability.TOP, reliability.RIGHT, reliability.BOTTOM),
    )


@router.post("/models/{version}/{verb}")
@does("models.promote", "models.retire")
def steer(
    request: Request,
    visit: Visiting,
    version: Annotated[int, Path(ge=1, le=_MOST)],
    verb: str,
    reason: Annotated[str, Form(max_length=500)] = "",
    sure: Annotated[str, Form()] = "",
) -> Response:
    """Put a model in force, or take it out of use."""
    if verb not in _WORDS:
        raise RequestRefused(f"verb: {verb[:50]!r} is none; choose one of {', '.join(_WORDS)}", 404)
    if not is_sure(sure, ""):
        question = Question(
            title=f"{verb.capitalize()} model {version}?",
            words=_WORDS[verb],
            action=f"/models/{version}/{verb}",
            verb=verb.capitalize(),
            fields=[],
            jobs=1,
            back=f"/models/{version}",
            harm=verb == "retire",
            blanks=[Blank("reason", "Reason")] if verb == "retire" else [],
        )
        return ask(request, question)
    done: Callable[..., str] = models.promote if verb == "promote" else models.retire
    said = done(*visit, version, None, *([reason] if verb == "retire" else []))
    return go(request, f"/models/{version}", f"Model {version}: {said}.")
