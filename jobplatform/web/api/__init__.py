"""The HTTP API: one module a noun, each route an action."""

from __future__ import annotations

from fastapi import APIRouter

from jobplatform.web.api import (
    alerts,
    batches,
    bulk,
    clusters,
    filters,
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
_PARTS = (
    overview, jobs, filters, bulk, queues, workers, schedules, batches, letters, clusters, quarantine, models,
    people, alerts,
)  # fmt: skip
for part in _PARTS:
    router.include_router(part.router)
