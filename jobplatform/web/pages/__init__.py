"""The pages of the dashboard: one module a page, each route one or more actions."""

from __future__ import annotations

from fastapi import APIRouter

from jobplatform.web.pages import (
    alerts,
    backfill,
    batches,
    breakers,
    bulk,
    decisions,
    edit,
    job,
    jobs,
    letters,
    limits,
    metrics,
    models,
    overview,
    plans,
    quarantine,
    queues,
    schedules,
    settings,
    steer,
    submit,
    workers,
    workflow,
)

router = APIRouter(include_in_schema=False)
# The list before the job: an address that names a list is none of a job.
_PARTS = (
    overview, jobs, steer, bulk, workflow, edit, job, submit, queues, workers, schedules, letters, models, metrics,
    decisions, settings, batches, limits, breakers, plans, quarantine, alerts, backfill,
)  # fmt: skip
for part in _PARTS:
    router.include_router(part.router)
