"""The HTTP API: one module a noun, each route an action."""

from __future__ import annotations

from fastapi import APIRouter

from jobplatform.web.api import batches, bulk, jobs, letters, models, overview, people, queues, schedules, workers

router = APIRouter()
for part in (overview, jobs, bulk, queues, workers, schedules, batches, letters, models, people):
    router.include_router(part.router)
