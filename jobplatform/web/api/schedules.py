"""Schedules over HTTP."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path, Query, Request
from fastapi.responses import Response
from pydantic import Field

from jobplatform.actions import schedule_edits, schedules
from jobplatform.store.pauses import Hold
from jobplatform.web import cursor
from jobplatform.web.api.body import After, Body, Limit, Moment, Name, Names, Priority, Seconds, Text
from jobplatform.web.api.reply import answer, nothing, page
from jobplatform.web.api.route import noun
from jobplatform.web.gives import gives, gives_page
from jobplatform.web.rule import does
from jobplatform.web.visit import Visiting

router = noun("schedules")

Part = Annotated[str, Path(min_length=1, max_length=200)]
Cron = Annotated[Name, Field(max_length=100)]
Runs = Annotated[int, Query(ge=1, le=100, description="How many of the next runs are told.")]


class Says(Body):
    """What a schedule says; what is not given is as it was, or as it is by default."""

    timezone: Name | None = None
    priority: Priority | None = None
    misfire: Name | None = None
    misfire_grace: Seconds | None = None
    misfire_window: Seconds | None = None
    misfire_cap: Annotated[int, Field(ge=0, le=10_000)] | None = None
    overlap: Name | None = None
    jitter: Seconds | None = None
    spread: Seconds | None = None
    queue: Name | None = None
    payload_template: dict[str, Any] | None = None

    def says(self) -> dict[str, Any]:
        """Give what is given."""
        known = {name: getattr(self, name) for name in Says.model_fields}
        return {name: value for name, value in known.items() if value is not None}


class NewSchedule(Says):
    """A schedule that is to be added."""

    name: Annotated[Name, Field(max_length=100)]
    job_type: Annotated[Name, Field(max_length=100)]
    cron: Cron


class Changed(Says):
    """What a schedule is to say from now on."""

    cron: Cron | None = None


class Named(Body):
    """Names of schedules."""

    names: Names


class Pausing(Named):
    """Schedules that are to be paused, why, and until when."""

    reason: Text = "asked over HTTP"
    until: Moment | None = None


class Resuming(Named):
    """Schedules that are to be resumed; with a dry run it is told what each would make up for."""

    dry_run: bool = False


class Filling(Body):
    """A span whose times are made up for."""

    since: Moment
    until: Moment
    in_turn: bool = False
    dry_run: bool = False


@router.get("/schedules")
@does("schedules.list")
@gives_page(schedules.list_schedules)
def list_schedules(request: Request, visit: Visiting, limit: Limit = 50, after: After = None) -> Response:
    """List schedules by name."""
    found = schedules.list_schedules(*visit, limit, cursor.read_name(after))
    return page(request, found.rows, found.next)


@router.get("/schedules/check")
@does("schedules.check")
@gives(schedules.check)
def check(request: Request, visit: Visiting) -> Response:
    """Look for what is likely wrong: never fires, overlaps, collisions, clock changes, silence."""
    return answer(request, schedules.check(*visit))


@router.get("/schedules/preview")
@does("schedules.preview")
@gives(schedules.preview, "rows")
def preview(
    request: Request,
    visit: Visiting,
    cron: Annotated[str, Query(min_length=1, max_length=100, description="A cron line, or the name of a schedule.")],
    timezone: Annotated[str, Query(min_length=1, max_length=100)] = "UTC",
    count: Runs = 10,
) -> Response:
    """Tell the next runs of a schedule, or of a cron line that is none yet; days of clock changes are marked."""
    return answer(request, {"rows": schedules.preview(*visit, cron, timezone, count)})


@router.get("/schedules/{name}")
@does("schedules.show")
@gives(schedules.show_schedule)
def show_schedule(request: Request, visit: Visiting, name: Part, count: Runs = 5) -> Response:
    """Show a schedule, when it fires next, and what became of its last fires."""
    return answer(request, schedules.show_schedule(*visit, name, count))


@router.post("/schedules", status_code=204)
@does("schedules.add")
def add(visit: Visiting, asked: NewSchedule) -> Response:
    """Add a schedule."""
    schedule_edits.add(*visit, asked.name, asked.job_type, asked.cron, asked.says())
    return nothing()


@router.patch("/schedules/{name}", status_code=204)
@does("schedules.change")
def change(visit: Visiting, name: Part, asked: Changed) -> Response:
    """Change a schedule; what is not given stays."""
    schedule_edits.change_schedule(*visit, name, asked.cron, asked.says())
    return nothing()


@router.delete("/schedules/{name}", status_code=204)
@does("schedules.remove")
def remove(visit: Visiting, name: Part) -> Response:
    """Remove a schedule; its jobs stay."""
    schedules.remove(*visit, [name])
    return nothing()


@router.post("/schedules/pause", status_code=204)
@does("schedules.pause")
def pause(visit: Visiting, asked: Pausing) -> Response:
    """Let schedules fire no more."""
    schedules.pause(*visit, asked.names, Hold(asked.reason, visit.actor.name, asked.until))
    return nothing()


@router.post("/schedules/resume")
@does("schedules.resume")
@gives(schedules.resume, "rows")
def resume(request: Request, visit: Visiting, asked: Resuming) -> Response:
    """Let schedules fire again, and tell what each makes up for."""
    return answer(request, {"rows": schedules.resume(*visit, asked.names, asked.dry_run)})


@router.post("/schedules/run")
@does("schedules.run")
@gives(schedules.run, "rows")
def run(request: Request, visit: Visiting, asked: Named) -> Response:
    """Run schedules now, whatever their time, their pauses and their jobs before."""
    return answer(request, {"rows": schedules.run(*visit, asked.names)})


@router.post("/schedules/{name}/backfill")
@does("schedules.backfill")
@gives(schedule_edits.backfill)
def backfill(request: Request, visit: Visiting, name: Part, asked: Filling) -> Response:
    """Make the jobs of the times of a schedule in a span that have none, both ends included."""
    made = schedule_edits.backfill(
        visit.desk, visit.actor, name, asked.since, asked.until, asked.in_turn, asked.dry_run
    )
    return answer(request, made)
