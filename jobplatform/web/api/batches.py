"""Batches and workflows over HTTP."""

from __future__ import annotations

from uuid import UUID

from fastapi import Request
from fastapi.responses import Response

from jobplatform.actions import batches, workflows
from jobplatform.web import cursor
from jobplatform.web.api.body import After, Body, Limit, Text
from jobplatform.web.api.reply import answer, nothing, page
from jobplatform.web.api.route import noun
from jobplatform.web.gives import gives, gives_fields, gives_page
from jobplatform.web.rule import does
from jobplatform.web.visit import Visiting

router = noun("batches")


class Cancelling(Body):
    """Why a batch is cancelled."""

    reason: Text = "asked over HTTP"


@router.get("/batches")
@does("batches.list")
@gives_page(batches.list_batches)
def list_batches(
    request: Request, visit: Visiting, unfinished: bool = False, limit: Limit = 50, after: After = None
) -> Response:
    """List batches, newest first; their counts lag by a moment."""
    found = batches.list_batches(*visit, unfinished, limit, cursor.read_job(after))
    return page(request, found.rows, found.next)


@router.get("/batches/{batch_id}")
@does("batches.show")
@gives(batches.show_batch)
def show_batch(request: Request, visit: Visiting, batch_id: UUID) -> Response:
    """Show how far a batch is, and the jobs that its events have made."""
    return answer(request, batches.show_batch(*visit, str(batch_id)))


@router.get("/batches/{batch_id}/eta")
@does("batches.eta")
@gives_fields(batches.eta, words=str)
def eta(request: Request, visit: Visiting, batch_id: UUID) -> Response:
    """Tell when what waits of a batch is done, in seconds from now."""
    found = batches.eta(*visit, str(batch_id))
    return answer(request, {**found._asdict(), "words": found.words()})


@router.post("/batches/{batch_id}/close", status_code=204)
@does("batches.close")
def close(visit: Visiting, batch_id: UUID) -> Response:
    """Close a batch: it is over when all of its jobs have ended."""
    batches.close(*visit, str(batch_id))
    return nothing()


@router.post("/batches/{batch_id}/cancel")
@does("batches.cancel")
@gives(batches.cancel, "cancelled")
def cancel(request: Request, visit: Visiting, batch_id: UUID, asked: Cancelling) -> Response:
    """Cancel a batch: the controller cancels what has not ended of it."""
    return answer(request, {"cancelled": batches.cancel(*visit, str(batch_id), asked.reason)})


@router.post("/batches/{batch_id}/retry")
@does("batches.retry_failed")
@gives(batches.retry_failed, "jobs")
def retry_failed(request: Request, visit: Visiting, batch_id: UUID) -> Response:
    """Run the failed jobs of a batch once more."""
    return answer(request, {"jobs": batches.retry_failed(*visit, str(batch_id))})


@router.get("/workflows")
@does("workflows.list")
@gives_page(workflows.list_workflows)
def list_workflows(request: Request, visit: Visiting, limit: Limit = 50, after: After = None) -> Response:
    """List workflows, the newest first, each with its jobs by state."""
    found = workflows.list_workflows(*visit, limit, cursor.read_id(after))
    return page(request, found.rows, found.next)


@router.get("/workflows/{root_id}")
@does("workflows.show")
@gives(workflows.show_workflow)
def show_workflow(request: Request, visit: Visiting, root_id: UUID, limit: Limit = 1_000) -> Response:
    """Show the jobs of a workflow, and which waits for which; one of its jobs names it as well as its root."""
    return answer(request, workflows.show_workflow(*visit, str(root_id), limit))
