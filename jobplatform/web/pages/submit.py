"""Submitting a job by a form that its type has given."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from starlette.datastructures import FormData

from jobplatform.actions import job_types, pacing, submission
from jobplatform.actions.submission import Submission
from jobplatform.errors import InvalidPayload, JobOptionError, JobPlatformError, PayloadProblems, TooOften
from jobplatform.web.form import Unread, entries, values
from jobplatform.web.page import go, page
from jobplatform.web.rule import does
from jobplatform.web.visit import Visit, Visiting

router = APIRouter()

_TYPES = 500
#: Before the names of a type's own arguments, so that none of them is mistaken for an option.
_ARGUMENT = "argument."


@router.get("/submit")
@does("job_types.list", "job_types.show", "jobs.submit")
def submit_page(request: Request, visit: Visiting, type: str = "") -> Response:
    """Show the job types, or the form of one."""
    if not type:
        return page(request, "submit_types.html", types=job_types.list_job_types(*visit, _TYPES).rows)
    return _form(request, visit, type, {})


async def _fields(request: Request) -> FormData:
    return await request.form(max_fields=500)


@router.post("/submit")
@does("job_types.show", "jobs.submit")
def submit(request: Request, visit: Visiting, fields: Annotated[FormData, Depends(_fields)]) -> Response:
    """Submit a job, or show what is wrong beside each field."""
    given = {name: value for name, value in fields.items() if isinstance(value, str)}
    name = given.get("type", "")
    known = job_types.show_job_type(*visit, name)
    try:
        payload, wrong = _payload(known, given)
        if wrong:
            return _form(request, visit, name, given, wrong)
        pacing.admit(*visit, jobs=1)
        job_id = submission.submit(*visit, Submission(name, payload, **_options(given)))
    except PayloadProblems as error:
        found = [Unread(pointer.lstrip("/").partition("/")[0], problem) for pointer, problem in error.problems]
        return _form(request, visit, name, given, found)
    except (InvalidPayload, JobOptionError, TooOften) as error:
        return _form(request, visit, name, given, [], error)
    return go(request, f"/jobs/{job_id}", "Submitted.")


def _payload(known: Mapping[str, Any], given: Mapping[str, str]) -> tuple[Any, list[Unread]]:
    if known["schema"] is None:
        try:
            payload = json.loads(given.get("payload") or "{}")
        except (ValueError, RecursionError):
            payload = None
        if not isinstance(payload, dict | list):
            return {}, [Unread("payload", 'it is no JSON object or list; write one, such as {"name": "Ann"}')]
        return payload, []
    own = {name.removeprefix(_ARGUMENT): value for name, value in given.items() if name.startswith(_ARGUMENT)}
    return values(known["schema"], own)


def _options(given: Mapping[str, str]) -> dict[str, Any]:
    """Read how the job is to run.

    :raises JobOptionError: naming what is no number.
    """
    try:
        return {
            "queue": given.get("queue") or None,
            "priority": int(given["priority"]) if given.get("priority") else None,
            "delay": float(given["delay"]) if given.get("delay") else None,
            "tenant": given.get("tenant") or None,
            "tags": tuple((given.get("tags") or "").replace(",", " ").split()),
        }
    except ValueError:
        raise JobOptionError("priority or delay: it is no number; give one, or leave it empty") from None


def _form(
    request: Request,
    visit: Visit,
    name: str,
    given: Mapping[str, str],
    wrong: Sequence[Unread] = (),
    error: JobPlatformError | None = None,
) -> Response:
    known = job_types.show_job_type(*visit, name)
    own = {key.removeprefix(_ARGUMENT): value for key, value in given.items() if key.startswith(_ARGUMENT)}
    if given and known["schema"] is not None:
        # A switch that is off is not sent at all.
        own = {**dict.fromkeys(known["schema"].get("properties", {}), ""), **own}
    return page(
        request,
        "submit.html",
        status=429 if isinstance(error, TooOften) else 422 if wrong or error else 200,
        headers={"retry-after": str(math.ceil(error.retry_after))} if isinstance(error, TooOften) else None,
        known=known,
        entries=None if known["schema"] is None else entries(known["schema"], own),
        given=given,
        wrong={each.name: each.problem for each in wrong},
        error=error,
    )
