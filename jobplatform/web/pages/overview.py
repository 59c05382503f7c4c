"""The first page: is all well?"""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from jobplatform.web.page import page
from jobplatform.web.rule import does
from jobplatform.web.visit import Visiting

router = APIRouter()


@router.get("/")
@does("jobs.list")
def overview(request: Request, visit: Visiting) -> Response:
    """Show how all is."""
    return page(request, "overview.html")
