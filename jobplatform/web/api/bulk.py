"""Bulk actions over HTTP: one verb for all jobs of a filter."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Request
from fastapi.responses import Response
from pydantic import Field

from jobplatform.actions import bulk, query
from jobplatform.actions.bulk import Wish
from jobplatform.web import cursor
from jobplatform.web.api.body import After, Body, Limit, Moment, Name, Number, Priority, Text
from jobplatform.web.api.reply import answer, nothing, page
from jobplatform.web.api.route import noun
from jobplatform.web.gives import gives, gives_page
from jobplatform.web.rule import does
from jobplatform.web.visit import Visiting

router = noun("bulk actions")


class Bulk(Body):
    """What is to be done to all jobs of a filter, and with which values.

    :param filter: as it is typed, such as `type:mail state:failed`.
    """

    action: Literal["jobs.retry", "jobs.cancel", "jobs.pause", "jobs.resume", "jobs.move"]
    filter: Annotated[Text, Field(min_length=1, max_length=query.LONGEST)]
    reason: Text | None = None
    cascade: bool | None = None
    until: Moment | None = None
    queue: Name | None = None
    priority: Priority | None = None

    @property
    def wish(self) -> Wish:
        """Give it as actions take it."""
        until = self.until and self.until.isoformat()
        known = {"cascade": self.cascade, "until": until, "queue": self.queue, "priority": self.priority}
        values: dict[str, Any] = {name: value for name, value in known.items() if value is not None}
        return Wish(self.action, self.filter, self.reason, values)


class Why(Body):
    """Why a bulk action is cancelled."""

    reason: Text | None = None


@router.post("/bulk/plan")
@does("bulk.plan")
@gives(bulk.plan)
def plan(request: Request, visit: Visiting, asked: Bulk) -> Response:
    """Tell how many jobs a bulk action would be done to, with some of them; nothing is changed."""
    return answer(request, bulk.plan(*visit, asked.wish))


@router.post("/bulk", status_code=202)
@does("bulk.start")
@gives(bulk.start, "bulk_id")
def start(request: Request, visit: Visiting, asked: Bulk) -> Response:
    """Let a job do a verb to all jobs of a filter that are there by now; plan it first."""
    bulk_id = bulk.start(*visit, asked.wish)
    return answer(request, {"bulk_id": bulk_id}, 202, {"location": f"/api/v1/bulk/{bulk_id}"})


@router.get("/bulk")
@does("bulk.list")
@gives_page(bulk.list_bulks)
def list_bulks(request: Request, visit: Visiting, limit: Limit = 50, after: After = None) -> Response:
    """List bulk actions, newest first; who may not see all jobs sees their own."""
    found = bulk.list_bulks(*visit, limit, cursor.read_number(after))
    return page(request, found.rows, found.next)


@router.get("/bulk/{bulk_id}")
@does("bulk.show")
@gives(bulk.show_bulk)
def show(request: Request, visit: Visiting, bulk_id: Number) -> Response:
    """Show how far a bulk action is."""
    return answer(request, bulk.show_bulk(*visit, bulk_id))


@router.post("/bulk/{bulk_id}/cancel", status_code=204)
@does("bulk.cancel")
def cancel(visit: Visiting, bulk_id: Number, asked: Why) -> Response:
    """Let a bulk action end before its next page; what was done stays done."""
    bulk.cancel(*visit, bulk_id, asked.reason)
    return nothing()
