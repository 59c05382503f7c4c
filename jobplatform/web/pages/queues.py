"""Queues and job types: what waits, what is paused, and by whom."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from jobplatform.actions import history, queues
from jobplatform.errors import RequestRefused
from jobplatform.store.pauses import Hold
from jobplatform.web import spark
from jobplatform.web.page import go, page
from jobplatform.web.question import Blank, Question, ask, is_sure
from jobplatform.web.rule import does
from jobplatform.web.visit import Visiting

router = APIRouter()


@router.get("/queues")
@does("queues.list", "types.list", "history.depths")
def list_queues(request: Request, visit: Visiting) -> Response:
    """List queues and job types."""
    found = history.of_depths(*visit)
    return page(
        request,
        "queues.html",
        queues=queues.list_queues(*visit),
        types=queues.list_types(*visit),
        times=found.times,
        depths=found.queues,
        sparks={name: spark.line(values) for name, values in found.queues.items()},
        wide=spark.WIDE,
        high=spark.HIGH,
    )


@router.post("/queues/pause")
@does("queues.pause", "types.pause")
def pause(
    request: Request,
    visit: Visiting,
    name: Annotated[str, Form(max_length=255)],
    kind: Annotated[str, Form()] = "queue",
    reason: Annotated[str, Form(max_length=500)] = "",
    sure: Annotated[str, Form()] = "",
) -> Response:
    """Pause a queue or a job type."""
    _check(kind)
    if not is_sure(sure, ""):
        return ask(
            request,
            Question(
                title=f"Pause {_words(kind)} {name}?",
                words="What runs goes on, and nothing more begins until somebody resumes it.",
                action="/queues/pause",
                verb="Pause",
                fields=[("name", name), ("kind", kind)],
                jobs=1,
                back="/queues",
                blanks=[Blank("reason", "Reason", hint="Shown to all who wonder why nothing runs.")],
            ),
        )
    hold = Hold(reason or f"paused by {visit.actor.name}", visit.actor.name)
    (queues.pause_queues if kind == "queue" else queues.pause_types)(*visit, [name], hold)
    return go(request, "/queues", f"{name} is paused.")


@router.post("/queues/resume")
@does("queues.resume", "types.resume")
def resume(
    request: Request,
    visit: Visiting,
    name: Annotated[str, Form(max_length=255)],
    kind: Annotated[str, Form()] = "queue",
) -> Response:
    """Resume a queue or a job type."""
    _check(kind)
    resumed = (queues.resume_queues if kind == "queue" else queues.resume_types)(*visit, [name])
    return go(request, "/queues", f"{name} goes on." if resumed else f"{name} was not paused.")


def _check(kind: str) -> None:
    if kind not in ("queue", "type"):
        raise RequestRefused("kind: it is none; choose queue or type")


def _words(kind: str) -> str:
    return "queue" if kind == "queue" else "job type"
