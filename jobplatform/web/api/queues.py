"""Queues, job types, limits and breakers over HTTP."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Path, Request
from fastapi.responses import Response
from pydantic import Field

from jobplatform.actions import breakers, job_types, limits, queues
from jobplatform.limits import Limit as Bound
from jobplatform.store.pauses import Hold
from jobplatform.web import cursor
from jobplatform.web.api.body import After, Body, Limit, Moment, Names, Text
from jobplatform.web.api.reply import answer, nothing, page
from jobplatform.web.api.route import noun
from jobplatform.web.gives import gives, gives_page
from jobplatform.web.rule import does
from jobplatform.web.visit import Visiting

router = noun("queues")

Part = Annotated[str, Path(min_length=1, max_length=200)]
_Positive = Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)]


class Named(Body):
    """Names of queues or job types."""

    names: Names


class Pausing(Named):
    """What is to be paused, why, and until when."""

    reason: Text = "asked over HTTP"
    until: Moment | None = None


class Bounds(Body):
    """How much a limit lets through."""

    slots: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None
    rate: _Positive | None = None
    burst: Annotated[float, Field(ge=1, le=1e9, allow_inf_nan=False)] | None = None


class Order(Body):
    """In which order a queue is served."""

    fair: bool
    age_seconds: _Positive | None = None


class Weight(Body):
    """How much of a queue a tenant gets."""

    weight: Annotated[float, Field(ge=0.001, le=1_000_000, allow_inf_nan=False)]


class Forcing(Body):
    """Breakers, and how they are forced; null lets them decide by themselves again."""

    causes: Names
    forced: Literal["open", "closed"] | None


@router.get("/queues")
@does("queues.list")
@gives(queues.list_queues, "rows")
def list_queues(request: Request, visit: Visiting) -> Response:
    """List the queues that workers take, and those that are paused."""
    return answer(request, {"rows": queues.list_queues(*visit)})


@router.post("/queues/pause")
@does("queues.pause")
@gives(queues.pause_queues)
def pause_queues(request: Request, visit: Visiting, asked: Pausing) -> Response:
    """Pause queues: what runs goes on, and nothing more begins."""
    hold = Hold(asked.reason, visit.actor.name, asked.until)
    return answer(request, queues.pause_queues(*visit, asked.names, hold))


@router.post("/queues/resume")
@does("queues.resume")
@gives(queues.resume_queues, "resumed")
def resume_queues(request: Request, visit: Visiting, asked: Named) -> Response:
    """Resume queues."""
    return answer(request, {"resumed": queues.resume_queues(*visit, asked.names)})


@router.put("/queues/{queue}/order", status_code=204)
@does("limits.order")
def set_order(visit: Visiting, queue: Part, asked: Order) -> Response:
    """Say in which order a queue is served."""
    limits.set_order(*visit, queue, asked.fair, asked.age_seconds)
    return nothing()


@router.put("/queues/{queue}/weights/{tenant}", status_code=204)
@does("limits.weight")
def set_weight(visit: Visiting, queue: Part, tenant: Part, asked: Weight) -> Response:
    """Say how much of a queue in fair order a tenant gets; others weigh 1."""
    limits.set_weight(*visit, queue, tenant, asked.weight)
    return nothing()


@router.get("/types")
@does("types.list")
@gives(queues.list_types, "rows")
def list_types(request: Request, visit: Visiting) -> Response:
    """List the job types that workers take, and those that are paused."""
    return answer(request, {"rows": queues.list_types(*visit)})


@router.post("/types/pause")
@does("types.pause")
@gives(queues.pause_types)
def pause_types(request: Request, visit: Visiting, asked: Pausing) -> Response:
    """Pause job types: what runs goes on, and nothing more begins."""
    hold = Hold(asked.reason, visit.actor.name, asked.until)
    return answer(request, queues.pause_types(*visit, asked.names, hold))


@router.post("/types/resume")
@does("types.resume")
@gives(queues.resume_types, "resumed")
def resume_types(request: Request, visit: Visiting, asked: Named) -> Response:
    """Resume job types."""
    return answer(request, {"resumed": queues.resume_types(*visit, asked.names)})


@router.get("/types/published")
@does("job_types.list")
@gives_page(job_types.list_job_types)
def list_job_types(
    request: Request, visit: Visiting, limit: Limit = 100, after: After = None, tools: bool = False
) -> Response:
    """List the job types that can be submitted, by name."""
    found = job_types.list_job_types(*visit, limit, cursor.read_name(after), tools)
    return page(request, found.rows, found.next)


@router.get("/types/published/{name}")
@does("job_types.show")
@gives(job_types.show_job_type)
def show_job_type(request: Request, visit: Visiting, name: Part) -> Response:
    """Show a job type: the JSON Schema of its arguments, its queue and its options."""
    return answer(request, job_types.show_job_type(*visit, name))


@router.get("/limits")
@does("limits.list")
@gives(limits.list_limits)
def list_limits(request: Request, visit: Visiting) -> Response:
    """List the limits and what is held of them, and the queues that are served in an order of their own."""
    return answer(request, limits.list_limits(*visit))


@router.put("/limits/{name}", status_code=204)
@does("limits.set")
def set_limit(visit: Visiting, name: Part, asked: Bounds) -> Response:
    """Set a limit; what runs already counts, and is not stopped."""
    limits.set_limit(*visit, Bound(name, asked.slots, asked.rate, asked.burst))
    return nothing()


@router.delete("/limits/{name}")
@does("limits.remove")
@gives(limits.remove_limits, "removed")
def remove_limit(request: Request, visit: Visiting, name: Part) -> Response:
    """Remove a limit; what it held back goes on."""
    return answer(request, {"removed": limits.remove_limits(*visit, [name])})


@router.get("/breakers")
@does("breakers.list")
@gives(breakers.list_breakers, "rows")
def list_breakers(request: Request, visit: Visiting, every: bool = False) -> Response:
    """List the breakers that hold jobs, or that somebody forced, and how many jobs each holds."""
    return answer(request, {"rows": breakers.list_breakers(*visit, every)})


@router.post("/breakers/force", status_code=204)
@does("breakers.force")
def force(visit: Visiting, asked: Forcing) -> Response:
    """Force breakers open or closed, or let them decide by themselves again."""
    breakers.force(*visit, asked.causes, asked.forced)
    return nothing()
