"""What the platform decided by itself, and who did what: each as a line that can be read."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from jobplatform.actions import audit, decisions
from jobplatform.actions.audit import Asked
from jobplatform.actions.decisions import Kind
from jobplatform.errors import RequestRefused
from jobplatform.web.page import page
from jobplatform.web.rule import does
from jobplatform.web.visit import Visiting

router = APIRouter()

_ROWS = 50


@router.get("/decisions")
@does("decisions.list")
def list_decisions(request: Request, visit: Visiting, kind: str = "", type: str = "", after: str = "") -> Response:
    """List decisions, the newest first."""
    if kind and kind not in set(Kind):
        raise RequestRefused(f"kind: it is none; choose one of {', '.join(Kind)}")
    found = decisions.list_decisions(*visit, _ROWS, after or None, {Kind(kind)} if kind else None, type or None)
    return page(
        request,
        "decisions.html",
        rows=found.decisions,
        next=found.next,
        after=after,
        kind=kind,
        kinds=[str(each) for each in Kind],
        type=type,
    )


@router.get("/audit")
@does("audit.list")
def list_deeds(
    request: Request,
    visit: Visiting,
    who: str = "",
    what: str = "",
    after: Annotated[int | None, Query(ge=1, le=2**62)] = None,
) -> Response:
    """List who did what, the newest first."""
    found = audit.list_deeds(*visit, Asked(who or None, what or None), _ROWS, after)
    return page(request, "audit.html", rows=found.rows, next=found.next, after=after, who=who, what=what)
