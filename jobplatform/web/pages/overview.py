"""The first page: is all well?"""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from jobplatform.actions import clusters, jobs
from jobplatform.actions import overview as actions
from jobplatform.actions.permission import Permission
from jobplatform.store.listing import JobFilter
from jobplatform.web.page import page
from jobplatform.web.rule import does
from jobplatform.web.visit import Visiting

router = APIRouter()

#: Errors and jobs that are shown.
_FEW = 6


@router.get("/")
@does("overview.show", "jobs.list")
def overview(request: Request, visit: Visiting) -> Response:
    """Show how all is; of what somebody may not see, nothing."""
    found, letters = actions.show(*visit), visit.actor.may(Permission.LETTERS_READ)
    away = found.tables is None
    return page(
        request,
        "overview.html",
        found=found,
        tables=found.tables,
        clusters=clusters.list_clusters(*visit, "open", None, _FEW).rows if letters and not away else None,
        latest=() if away else jobs.list_jobs(*visit, JobFilter(), _FEW).rows,
    )
