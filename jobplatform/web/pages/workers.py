"""Workers: what they do, how they are, and what they are asked to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from jobplatform.actions import fleet, scaling, workers
from jobplatform.errors import JobOptionError, RequestRefused
from jobplatform.web.page import go, page
from jobplatform.web.question import Blank, Question, ask, is_sure
from jobplatform.web.rule import does
from jobplatform.web.visit import Visiting

router = APIRouter()

_MOST, _DECISIONS = 500, 20
_MIB = 1_048_576


class Duty(NamedTuple):
    """What a worker can be asked."""

    title: str
    words: str
    do: Callable[..., workers.Asked]
    harm: bool = False


DUTIES = {
    "cordon": Duty("Cordon", "It takes no more jobs; what runs ends.", workers.cordon),
    "uncordon": Duty("Uncordon", "It takes jobs again.", workers.uncordon),
    "drain": Duty(
        "Drain", "It ends: what runs may end within the grace, the rest begins again elsewhere.", workers.drain, True
    ),
    "replace": Duty("Replace", "It works until its successor does, and is drained then.", workers.replace),
}


@router.get("/workers")
@does("workers.list", "fleet.show", "scaling.list")
def list_workers(request: Request, visit: Visiting, gone: bool = False) -> Response:
    """List workers."""
    rows = [_shown(row) for row in workers.list_workers(*visit, gone, _MOST)]
    return page(
        request,
        "workers.html",
        rows=rows,
        gone=gone,
        most=_MOST,
        size=fleet.show_size(*visit) if visit.desk.settings.fleet != "off" else None,
        decisions=scaling.list_decisions(*visit, _DECISIONS).rows,
        sentence=scaling.sentence,
    )


@router.post("/workers/size")
@does("fleet.size")
def set_size(
    request: Request,
    visit: Visiting,
    wanted: Annotated[str, Form(max_length=10)] = "",
    reason: Annotated[str, Form(max_length=500)] = "",
) -> Response:
    """Hold the number of workers, or leave it to the scaler."""
    if wanted and not wanted.isdecimal():
        raise JobOptionError(f"workers: {wanted!r} is no number; give one, or nothing to leave it to the scaler")
    who = f"asked by {visit.actor.name}"
    fleet.set_size(*visit, int(wanted) if wanted else None, reason or who)
    said = f"There are to be {wanted}, whatever the scaler would have." if wanted else "It is left to the scaler."
    return go(request, "/workers", said)


@router.post("/workers/ask/{duty}")
@does("workers.cordon", "workers.uncordon", "workers.drain", "workers.replace")
def ask_worker(
    request: Request,
    visit: Visiting,
    duty: str,
    name: Annotated[str, Form(max_length=255)],
    reason: Annotated[str, Form(max_length=500)] = "",
    sure: Annotated[str, Form()] = "",
) -> Response:
    """Ask something of a worker."""
    if duty not in DUTIES:
        raise RequestRefused(f"duty: {duty[:50]!r} is none; choose one of {', '.join(DUTIES)}", 404)
    known = DUTIES[duty]
    if not is_sure(sure, ""):
        question = Question(
            title=f"{known.title} worker {name}?",
            words=known.words,
            action=f"/workers/ask/{duty}",
            verb=known.title,
            fields=[("name", name)],
            jobs=1,
            back="/workers",
            harm=known.harm,
            blanks=[Blank("reason", "Reason", hint="Shown beside the worker.")],
        )
        return ask(request, question)
    done = known.do(*visit, [name], reason or None)
    if not done.workers:
        raise workers.missing(name)
    said = "was asked" if name in done.asked else "was not asked: it is to leave, or does so already"
    return go(request, "/workers", f"{name} {said}.")


def _shown(row: Any) -> dict[str, Any]:
    report = row["report"] or {}
    memory = sum(process["rss"] for process in report.get("processes", ()))
    return {**row, "report": report, "memory": memory / _MIB if memory else None, "running": report.get("running", ())}
