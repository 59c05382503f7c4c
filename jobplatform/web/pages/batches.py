"""Batches: how far each is, what became of its jobs, and what is done to all of them."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from jobplatform.actions import batches
from jobplatform.errors import RequestRefused
from jobplatform.tally import BatchState
from jobplatform.web import paging
from jobplatform.web.page import go, page
from jobplatform.web.question import Blank, Question, ask, is_sure, unsure
from jobplatform.web.rule import does
from jobplatform.web.stacked import HIGH, WIDE, Share, stack
from jobplatform.web.visit import Visit, Visiting
from jobplatform.web.wording import plural

router = APIRouter()

_ROWS = 50
#: What jobs of a batch are counted as, in which tone, and how they are found.
_KINDS = (
    ("completed", "good", "state:completed"),
    ("failed", "bad", "state:failed"),
    ("cancelled", "still", "state:cancelled"),
    ("running", "run", "state:processing"),
    ("waiting", "wait", "state:blocked,scheduled,pending,retrying,paused"),
)
_VERBS = ("close", "cancel", "retry")


@router.get("/batches")
@does("batches.list")
def list_batches(request: Request, visit: Visiting, unfinished: bool = False, after: str = "") -> Response:
    """List batches, newest first."""
    found = batches.list_batches(*visit, unfinished, _ROWS, paging.read(after))
    following = paging.written(found.next)
    return page(request, "batches.html", rows=found.rows, next=following, after=after, unfinished=unfinished)


@router.get("/batches/{batch_id}")
@does("batches.show", "batches.eta")
def show_batch(request: Request, visit: Visiting, batch_id: UUID) -> Response:
    """Show how far a batch is."""
    found = batches.show_batch(*visit, str(batch_id))
    row = found.batch
    kinds = [(name, row[name], f"batch:{batch_id} {words}") for name, _, words in _KINDS]
    return page(
        request,
        "batch.html",
        row=row,
        events=found.events,
        eta=None if row["state"] == BatchState.FINISHED else batches.eta(*visit, str(batch_id)).words(),
        kinds=kinds,
        parts=stack(Share(name, row[name], tone) for name, tone, _ in _KINDS),
        wide=WIDE,
        high=HIGH,
    )


@router.post("/batches/{batch_id}/{verb}")
@does("batches.show", "batches.close", "batches.cancel", "batches.retry_failed")
def steer(
    request: Request,
    visit: Visiting,
    batch_id: UUID,
    verb: str,
    reason: Annotated[str, Form(max_length=500)] = "",
    sure: Annotated[str, Form()] = "",
    typed: Annotated[str, Form()] = "",
) -> Response:
    """Close or cancel a batch, or run once more what failed of it."""
    if verb not in _VERBS:
        raise RequestRefused(f"verb: {verb[:50]!r} is none; choose one of {', '.join(_VERBS)}", 404)
    if not is_sure(sure, typed):
        row = batches.show_batch(*visit, str(batch_id)).batch
        return ask(request, _question(row, verb)._replace(problem=unsure(sure)))
    return go(request, f"/batches/{batch_id}", _do(visit, str(batch_id), verb, reason))


def _do(visit: Visit, batch_id: str, verb: str, reason: str) -> str:
    """Do it, and say what was done."""
    if verb == "close":
        batches.close(*visit, batch_id)
        return "It is closed: it is over when all of its jobs have ended."
    if verb == "cancel":
        done = batches.cancel(*visit, batch_id, reason or f"cancelled by {visit.actor.name}")
        return "It is being cancelled: what has not begun never does." if done else "It had finished already."
    return f"{plural(batches.retry_failed(*visit, batch_id), 'failed job')} to run once more."


def _question(row: Any, verb: str) -> Question:
    left = row["total"] - row["completed"] - row["failed"] - row["cancelled"]
    here = f"/batches/{row['batch_id']}"
    asked = Question(f"Close batch {row['name']}?", "", f"{here}/{verb}", "Close", [], 1, here)
    if verb == "close":
        return asked._replace(words="Nobody but its own jobs adds more, and it is over when all of these have ended.")
    if verb == "retry":
        return asked._replace(
            title=f"Run {plural(row['failed'], 'failed job')} once more?",
            words="When all jobs of the batch have completed then, its success is called back.",
            verb=f"Run {plural(row['failed'], 'job')}",
            jobs=row["failed"],
        )
    return asked._replace(
        title=f"Cancel batch {row['name']}?",
        words=f"{plural(left, 'job')} of it {'has' if left == 1 else 'have'} not ended. Those that wait never start, "
        "those that run are told to stop, and so is what they still add.",
        verb="Cancel the batch",
        jobs=max(1, left),
        harm=True,
        blanks=[Blank("reason", "Reason", hint="Kept with the jobs.")],
    )
