"""Workers, the fleet and its scaling over HTTP."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query, Request
from fastapi.responses import Response
from pydantic import Field

from jobplatform.actions import capacity, fleet, scaling, workers
from jobplatform.actions.capacity import MOST as MOST_STARTS
from jobplatform.actions.capacity import Question
from jobplatform.web import cursor
from jobplatform.web.api.body import After, Body, Limit, Moment, Name, Names, Number, Seconds, Text
from jobplatform.web.api.reply import answer, page
from jobplatform.web.api.route import noun
from jobplatform.web.gives import gives, gives_page
from jobplatform.web.rule import does
from jobplatform.web.visit import Visiting

router = noun("workers")

Part = Annotated[str, Path(min_length=1, max_length=200)]
#: The worker that is shown alone.
WorkerName = Annotated[str | None, Query(max_length=200)]


class Asking(Body):
    """Workers that are asked for something, and why."""

    names: Names
    reason: Text | None = None


class Draining(Asking):
    """Workers that are to end, and the seconds that what runs has for it."""

    grace: Seconds | None = None


class Sizing(Body):
    """How many workers are wished for; null leaves it to the scaler."""

    wanted: Annotated[int, Field(ge=0, le=10_000)] | None
    reason: Text = "asked over HTTP"


class Asked(Body):
    """What is to be tried in simulated time."""

    since: Moment
    until: Moment
    workers: Annotated[list[Annotated[int, Field(ge=1, le=1_000)]], Field(max_length=20)] = Field(default_factory=list)
    scaler: bool = False
    queue: Name | None = None
    slots: Annotated[int, Field(ge=1, le=1_000)] | None = None
    slo: Annotated[Seconds, Field(gt=0)] | None = None
    start: Seconds | None = None
    most: Annotated[int, Field(ge=1, le=MOST_STARTS)] = MOST_STARTS


@router.get("/workers")
@does("workers.list")
@gives(workers.list_workers, "rows")
def list_workers(request: Request, visit: Visiting, gone: bool = False, limit: Limit = 100) -> Response:
    """List workers, the last seen first."""
    return answer(request, {"rows": workers.list_workers(*visit, gone, limit)})


@router.get("/workers/health")
@does("workers.health")
@gives(workers.health)
def health(request: Request, visit: Visiting, name: WorkerName = None, limit: Limit = 100) -> Response:
    """Show how workers are and why, and by how many bytes a second their memory grows."""
    return answer(request, workers.health(*visit, name, limit))


@router.get("/workers/hungry")
@does("workers.hungry")
@gives(workers.hungry, "rows")
def hungry(request: Request, visit: Visiting, limit: Limit = 100) -> Response:
    """List job types that take much memory, and the queue that each should have."""
    return answer(request, {"rows": workers.hungry(*visit, limit)})


@router.get("/workers/{name}")
@does("workers.show")
@gives(workers.show_worker)
def show_worker(request: Request, visit: Visiting, name: Part) -> Response:
    """Show the worker that was last seen under a name, with its last report."""
    return answer(request, workers.show_worker(*visit, name))


@router.post("/workers/cordon")
@does("workers.cordon")
@gives(workers.cordon)
def cordon(request: Request, visit: Visiting, asked: Asking) -> Response:
    """Let workers take no more jobs: what they hold and have not begun goes back, what runs ends."""
    return answer(request, workers.cordon(*visit, asked.names, asked.reason))


@router.post("/workers/uncordon")
@does("workers.uncordon")
@gives(workers.uncordon)
def uncordon(request: Request, visit: Visiting, asked: Asking) -> Response:
    """Let cordoned workers take jobs again."""
    return answer(request, workers.uncordon(*visit, asked.names, asked.reason))


@router.post("/workers/drain")
@does("workers.drain")
@gives(workers.drain)
def drain(request: Request, visit: Visiting, asked: Draining) -> Response:
    """Let workers end, as SIGTERM does."""
    return answer(request, workers.drain(*visit, asked.names, asked.reason, asked.grace))


@router.post("/workers/replace")
@does("workers.replace")
@gives(workers.replace)
def replace(request: Request, visit: Visiting, asked: Asking) -> Response:
    """Let others take the place of workers: each works until its successor does."""
    return answer(request, workers.replace(*visit, asked.names, asked.reason))


@router.get("/fleet")
@does("fleet.show")
@gives(fleet.show_size)
def show_size(request: Request, visit: Visiting) -> Response:
    """Show how many workers are wished for, by whom, and between which bounds."""
    return answer(request, fleet.show_size(*visit))


@router.put("/fleet/size")
@does("fleet.size")
@gives(fleet.set_size)
def set_size(request: Request, visit: Visiting, asked: Sizing) -> Response:
    """Wish for so many workers, or leave the number to the scaler."""
    return answer(request, fleet.set_size(*visit, asked.wanted, asked.reason))


@router.get("/fleet/members")
@does("fleet.list")
@gives(fleet.list_members, "rows")
def list_members(request: Request, visit: Visiting) -> Response:
    """List the workers that are heard, by name, and what each is asked to do."""
    return answer(request, {"rows": fleet.list_members(*visit)})


@router.get("/fleet/replacements")
@does("fleet.replacements")
@gives(fleet.list_replacements)
def list_replacements(request: Request, visit: Visiting, limit: Limit = 50) -> Response:
    """Tell which workers were replaced, why and how that went; and who is failing and stays."""
    return answer(request, fleet.list_replacements(*visit, limit))


@router.get("/fleet/wish")
@does("fleet.wish")
@gives(fleet.wish)
def wish(request: Request, visit: Visiting) -> Response:
    """Tell what Kubernetes is told: how many pods, and which of them may go first."""
    return answer(request, fleet.wish(*visit))


@router.get("/scaling")
@does("scaling.list")
@gives_page(scaling.list_decisions)
def list_scaling(
    request: Request,
    visit: Visiting,
    pool: WorkerName = None,
    every: bool = False,
    limit: Limit = 50,
    after: After = None,
) -> Response:
    """List decisions on the number of workers, the newest first."""
    before = cursor.read_number(after)
    more = {} if before is None else {"before": before}
    found = scaling.list_decisions(*visit, limit, pool, every, **more)
    return page(request, found.rows, found.next)


@router.get("/scaling/{decision_id}")
@does("scaling.show")
@gives(scaling.show_decision)
def show_scaling(request: Request, visit: Visiting, decision_id: Number) -> Response:
    """Show a decision: why, what was foretold of each queue, and what the rate rule would have wanted."""
    return answer(request, scaling.show_decision(*visit, decision_id))


@router.post("/capacity")
@does("capacity.ask")
@gives(capacity.ask, "rows")
def ask(request: Request, visit: Visiting, asked: Asked) -> Response:
    """Run recorded jobs once more in simulated time: waits, jobs that waited too long, and worker-hours by policy."""
    known = {name: getattr(asked, name) for name in Asked.model_fields}
    question = Question(**{**known, "workers": tuple(asked.workers)})
    return answer(request, {"rows": capacity.ask(*visit, question)})
