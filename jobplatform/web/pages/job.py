"""One job: what it is, what became of it and why, and what can be done about it."""

from __future__ import annotations

import shlex
from contextlib import suppress

from fastapi import APIRouter, Request
from fastapi.responses import Response

from jobplatform.actions import jobs, logs
from jobplatform.actions.logs import Log
from jobplatform.actions.permission import Permission
from jobplatform.errors import JobPlatformError
from jobplatform.jobs.eta import Eta
from jobplatform.states import FINAL
from jobplatform.web import timeline
from jobplatform.web.page import page
from jobplatform.web.rule import does
from jobplatform.web.trace import frames
from jobplatform.web.visit import Visit, Visiting

router = APIRouter()


@router.get("/jobs/{job_id}")
@does("jobs.show", "jobs.eta")
def show_job(request: Request, visit: Visiting, job_id: str) -> Response:
    """Show a job."""
    found = jobs.show_job(*visit, job_id)
    job, spans, now = found.job, timeline.spans(found.job, found.attempts), visit.desk.now()
    return page(
        request,
        "job.html",
        job=job,
        attempts=list(reversed(found.attempts)),
        decisions={row["attempt"]: row for row in found.decisions},
        edges=found.edges,
        bars=timeline.bars(spans, now),
        eta=None if job["status"] in FINAL else _eta(visit, job_id),
        frames=frames,
        logs=_logs(visit, job_id),
        command=f"jobplatform jobs show {shlex.quote(job['job_id'])}",
        now=now,
    )


def _logs(visit: Visit, job_id: str) -> dict[int, Log]:
    """Give the ends of the logs by attempt; none to who may not see what jobs are given."""
    if not visit.actor.may(Permission.JOBS_PAYLOAD):
        return {}
    return {log.attempt: log for log in logs.ends(*visit, job_id)}


def _eta(visit: Visit, job_id: str) -> Eta | None:
    # A forecast is worth having, and no reason to show nothing.
    with suppress(JobPlatformError):
        return jobs.eta(*visit, job_id)
    return None
