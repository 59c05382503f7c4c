"""Jobs over HTTP."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from jobplatform.actions import jobs
from jobplatform.web.rule import does
from jobplatform.web.visit import Visiting

router = APIRouter(tags=["jobs"])


@router.get("/jobs/{job_id}")
@does("jobs.show")
def show_job(visit: Visiting, job_id: str) -> dict[str, Any]:
    """Show a job, its attempts, what was decided after each failure, and its edges."""
    return jobs.show_job(*visit, job_id)._asdict()
