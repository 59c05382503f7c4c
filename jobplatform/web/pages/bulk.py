"""What is done to many jobs by a job of its own: how far it is, and letting it end."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from jobplatform.actions import bulk
from jobplatform.web.page import go, page
from jobplatform.web.rule import does
from jobplatform.web.visit import Visiting

router = APIRouter()

_ROWS = 50
_MOST = 2**62


@router.get("/bulk")
@does("bulk.list")
def list_bulks(
    request: Request, visit: Visiting, after: Annotated[int | None, Query(ge=1, le=_MOST)] = None
) -> Response:
    """List bulk actions, newest first."""
    found = bulk.list_bulks(*visit, _ROWS, after)
    return page(request, "bulk.html", rows=found.rows, next=found.next, after=after, one=False)


@router.get("/bulk/{bulk_id}")
@does("bulk.show")
def show_bulk(request: Request, visit: Visiting, bulk_id: Annotated[int, Path(ge=1, le=_MOST)]) -> Response:
    """Show how far a bulk action is."""
    return page(request, "bulk.html", rows=[bulk.show_bulk(*visit, bulk_id)], next=None, after=None, one=True)


@router.post("/bulk/{bulk_id}/cancel")
@does("bulk.cancel")
def cancel(request: Request, visit: Visiting, bulk_id: Annotated[int, Path(ge=1, le=_MOST)]) -> Response:
    """Let a bulk action end before its next page."""
    bulk.cancel(*visit, bulk_id, None)
    return go(request, f"/bulk/{bulk_id}", "It ends before its next page; what was done stays done.")
