"""Schedules: when they fire, what became of it, and how they are changed."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel

from jobplatform.actions import schedule_edits, schedules
from jobplatform.actions.permission import Permission
from jobplatform.errors import JobOptionError, JobPlatformError, RequestRefused
from jobplatform.store.pauses import Hold
from jobplatform.web.cron_words import cron_words
from jobplatform.web.page import go, page
from jobplatform.web.question import Blank, Question, ask, is_sure
from jobplatform.web.rule import does
from jobplatform.web.visit import Visit, Visiting
from jobplatform.web.wording import plural

router = APIRouter()

#: Rows of a page, and runs that are foretold.
_ROWS, _RUNS = 100, 10


class Written(BaseModel):
    """What the form of a schedule says.

    :param new: whether there is none of the name yet.
    """

    name: str = ""
    job_type: str = ""
    cron: str = ""
    timezone: str = "UTC"
    queue: str = ""
    payload: str = ""
    new: bool = True


@router.get("/schedules")
@does("schedules.list")
def list_schedules(request: Request, visit: Visiting, after: str = "") -> Response:
    """List schedules by name."""
    found = schedules.list_schedules(*visit, _ROWS, after)
    return page(request, "schedules.html", rows=found.rows, next=found.next, after=after, cron_words=cron_words)


@router.get("/schedules/edit")
@does("schedules.preview", "schedules.show")
def edit_page(request: Request, visit: Visiting, written: Annotated[Written, Query()], of: str = "") -> Response:
    """Show the form of a schedule, and when it would fire; nothing is kept.

    :param of: the name of one that is there, which fills the form.
    """
    return _form(request, visit, _of(visit, of) if of else written)


@router.post("/schedules/edit")
@does("schedules.add", "schedules.change")
def edit(request: Request, visit: Visiting, written: Annotated[Written, Form()]) -> Response:
    """Add a schedule, or change one."""
    try:
        says = _says(written)
        if written.new:
            schedule_edits.add(*visit, written.name, written.job_type, written.cron, says)
        else:
            schedule_edits.change_schedule(*visit, written.name, written.cron, says)
    except JobPlatformError as error:
        return _form(request, visit, written, error)
    return go(request, f"/schedules/{written.name}" if written.name.isidentifier() else "/schedules", "Kept.")


@router.get("/schedules/{name:path}")
@does("schedules.show")
def show_schedule(request: Request, visit: Visiting, name: str) -> Response:
    """Show a schedule, when it fires next, and what became of its last fires."""
    found = schedules.show_schedule(*visit, name, _RUNS)
    return page(request, "schedule.html", found=found, words=cron_words(found.schedule["cron_expression"]))


@router.post("/schedules/do/{verb}")
@does("schedules.pause", "schedules.resume", "schedules.run", "schedules.remove")
def steer(
    request: Request,
    visit: Visiting,
    verb: str,
    name: Annotated[str, Form(max_length=255)],
    reason: Annotated[str, Form(max_length=500)] = "",
    sure: Annotated[str, Form()] = "",
) -> Response:
    """Pause, resume, run or remove a schedule."""
    if verb not in _WORDS:
        raise RequestRefused(f"verb: {verb[:50]!r} is none; choose one of {', '.join(_WORDS)}", 404)
    if not is_sure(sure, ""):
        return ask(request, _question(visit, verb, name))
    if verb == "pause":
        who = visit.actor.name
        schedules.pause(*visit, [name], Hold(reason or f"paused by {who}", who))
    elif verb == "resume":
        schedules.resume(*visit, [name])
    elif verb == "remove":
        schedules.remove(*visit, [name])
    else:
        (made,) = schedules.run(*visit, [name])
        return go(request, f"/jobs/{made['job_id']}", "It was fired.")
    return go(request, "/schedules", f"{name}: done.")


_WORDS = {
    "pause": "It fires no more until somebody resumes it.",
    "resume": "It fires again.",
    "run": "Its job is made at once, whatever its time, its pause and its job before.",
    "remove": "It fires no more, and is forgotten; its jobs stay.",
}


def _question(visit: Visit, verb: str, name: str) -> Question:
    words = _WORDS[verb]
    if verb == "resume":
        (planned,) = schedules.resume(*visit, [name], dry_run=True)
        words += f" It makes up for {plural(planned['makes_up_for'], 'time')} that it missed."
    return Question(
        title=f"{verb.capitalize()} schedule {name}?",
        words=words,
        action=f"/schedules/do/{verb}",
        verb=verb.capitalize(),
        fields=[("name", name)],
        jobs=1,
        back="/schedules",
        harm=verb == "remove",
        blanks=[Blank("reason", "Reason")] if verb == "pause" else [],
    )


def _of(visit: Visit, name: str) -> Written:
    row = schedules.show_schedule(*visit, name).schedule
    seen = visit.actor.may(Permission.JOBS_PAYLOAD)
    return Written(
        name=row["name"],
        job_type=row["job_type"],
        cron=row["cron_expression"],
        timezone=row["timezone"],
        queue=row["queue"] or "",
        payload=json.dumps(row["payload_template"]) if seen else "",
        new=False,
    )


def _says(written: Written) -> dict[str, Any]:
    """Read what is said beside the times; what was left empty stays as it is.

    :raises JobOptionError: when the payload is no JSON.
    """
    says: dict[str, Any] = {"timezone": written.timezone or "UTC"}
    if written.queue:
        says["queue"] = written.queue
    if written.payload.strip():
        try:
            says["payload_template"] = json.loads(written.payload)
        except (ValueError, RecursionError):
            raise JobOptionError('payload: it is no JSON; write it as in {"args": [], "kwargs": {}}') from None
    return says


def _form(request: Request, visit: Visit, written: Written, error: JobPlatformError | None = None) -> Response:
    runs = None
    if written.cron and error is None:
        try:
            # A name has no spaces: a line of one word is not to be taken for one.
            line = written.cron if " " in written.cron or written.cron.startswith("@") else f"{written.cron} "
            runs = schedules.preview(*visit, line, written.timezone or "UTC", _RUNS)
        except JobPlatformError as refused:
            error = refused
    return page(
        request,
        "schedule_form.html",
        status=422 if error else 200,
        written=written,
        runs=runs,
        words=cron_words(written.cron),
        error=error,
    )
