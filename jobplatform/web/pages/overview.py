"""The first page: is all well?"""

from __future__ import annotations

from datetime import timedelta

from fastapi import APIRouter, Request
from fastapi.responses import Response

from jobplatform.actions import clusters, jobs, queues, workers
from jobplatform.actions.permission import Permission
from jobplatform.errors import JobPlatformError
from jobplatform.journal.inspection import UNREACHABLE
from jobplatform.states import State
from jobplatform.store.listing import JobFilter
from jobplatform.web.page import page
from jobplatform.web.rule import does
from jobplatform.web.visit import Visit, Visiting

router = APIRouter()

#: Jobs of a state that are counted; workers, clusters and jobs that are shown.
_COUNTED, _WORKERS, _FEW = 1_000, 500, 6
_RECENT = timedelta(hours=1)


@router.get("/")
@does("jobs.list", "jobs.count")
def overview(request: Request, visit: Visiting) -> Response:
    """Show how all is; of what somebody may not see, nothing."""
    actor, now = visit.actor, visit.desk.now()
    found_queues, away = _queues(visit)
    return page(
        request,
        "overview.html",
        counts={state: jobs.count_jobs(*visit, JobFilter(states=(str(state),)), _COUNTED) for state in State},
        failed=jobs.count_jobs(*visit, JobFilter(states=("FAILED",), created_after=now - _RECENT), _COUNTED),
        counted=_COUNTED,
        queues=found_queues,
        away=away,
        workers=workers.list_workers(*visit, False, _WORKERS) if actor.may(Permission.WORKERS_READ) else None,
        clusters=clusters.list_clusters(*visit, "open", None, _FEW).rows
        if actor.may(Permission.LETTERS_READ)
        else None,
        latest=jobs.list_jobs(*visit, JobFilter(), _FEW).rows,
    )


def _queues(visit: Visit) -> tuple[list[dict[str, object]] | None, str | None]:
    """List queues, and say why there are none if Redis is away: the page shows what PostgreSQL knows all the same."""
    if not visit.actor.may(Permission.QUEUES_READ):
        return None, None
    try:
        return queues.list_queues(*visit), None
    except (JobPlatformError, *UNREACHABLE) as error:
        return None, f"Redis cannot be asked what waits: {type(error).__name__}."
