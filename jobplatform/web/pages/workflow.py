"""The jobs that wait for each other, drawn."""

from __future__ import annotations

from collections import Counter

from fastapi import APIRouter, Request
from fastapi.responses import Response

from jobplatform.actions import jobs
from jobplatform.states import State
from jobplatform.web.drawing import HIGH, WIDE, draw
from jobplatform.web.page import page
from jobplatform.web.rule import does
from jobplatform.web.visit import Visiting

router = APIRouter()

#: Jobs that are listed, and up to how many they are drawn as well.
_LISTED, _DRAWN = 500, 150


@router.get("/jobs/{job_id}/workflow")
@does("jobs.graph")
def show_workflow(request: Request, visit: Visiting, job_id: str) -> Response:
    """Show what hangs together with a job."""
    found = jobs.graph(*visit, job_id, _LISTED)
    rows = found[:_LISTED]
    drawing = draw(rows)
    counts = Counter(row["status"] for row in rows)
    return page(
        request,
        "workflow.html",
        job_id=job_id,
        rows=sorted(drawing.nodes, key=lambda node: (node.level, node.y)),
        more=len(found) > _LISTED,
        drawing=drawing if len(rows) <= _DRAWN else None,
        counts=[(str(state), counts[state]) for state in State if counts[state]],
        wide=WIDE,
        high=HIGH,
    )
