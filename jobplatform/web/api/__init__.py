"""The HTTP API: one module a noun, each route an action."""

from __future__ import annotations

from fastapi import APIRouter

from jobplatform.web.api import (
    batches,
    bulk,
    clusters,
    jobs,
    letters,
    models,
    overview,
    people,
    quarantine,
    queues,
    schedules,
    workers,
)

router = APIRouter()
for part in (overview, jobs, bulk, queues, workers, schedules, batches, letters, clusters, quarantine, models, people):
    router.include_router(part.router)
