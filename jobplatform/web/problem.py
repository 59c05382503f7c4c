"""What is answered when something went wrong: a problem document (RFC 9457) to programs, a page to people."""

from __future__ import annotations

import logging
import math
import re
from typing import Any, NamedTuple, TypedDict
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from jobplatform import errors
from jobplatform.journal import inspection
from jobplatform.store import database
from jobplatform.web.page import page

_log = logging.getLogger(__name__)

_STATUSES: tuple[tuple[type[Exception], int], ...] = (
    (errors.NotSignedIn, 401),
    (errors.SignInRefused, 401),
    (errors.TooOften, 429),
    (errors.Forbidden, 403),
    (errors.ModelNotFound, 404),
    (LookupError, 404),
    (errors.TransitionRefused, 409),
    (errors.BatchClosed, 409),
    (errors.SchemaConflict, 409),
    (errors.KeyTaken, 409),
    (errors.IdempotencyConflict, 409),
    (errors.NothingLearned, 409),
    (errors.BrokerNotOurs, 409),
    (errors.StoreUnavailable, 503),
    (errors.JobPlatformError, 422),
)
#: SQLSTATEs of a statement that took too long, and of a lock that was not to be had.
_TOO_LONG, _LOCKED = "57014", "55P03"
#: Seconds after which it is worth to try again when a store is away.
_AGAIN = 5
_WORDS = re.compile(r"(?<=[a-z])(?=[A-Z])")


class _Known(TypedDict):
    type: str
    title: str
    status: int
    detail: str
    instance: str


class ProblemDocument(_Known, total=False):
    """What went wrong (RFC 9457): its kind, the field, the problem and the fix, and the request as logs name it."""

    field: str
    permission: str
    job_id: str
    position: int
    errors: list[dict[str, str]]


class Problem(NamedTuple):
    """What went wrong, as a program reads it.

    :param kind: in dashed words; the same for all of a kind.
    :param again: seconds after which it is worth to try again, None if it is not.
    :param more: further members.
    """

    status: int
    kind: str
    detail: str
    again: int | None = None
    more: dict[str, Any] = {}


def problem_of(error: Exception) -> Problem:
    """Tell what to answer to an error; of one that nobody expected, nothing but that it happened."""
    if isinstance(error, errors.RequestRefused):
        return Problem(error.status, "request-refused", str(error))
    if isinstance(error, errors.JobPlatformError):
        return _of_ours(error)
    if isinstance(error, RequestValidationError):
        return _of_request(error)
    if isinstance(error, HTTPException):
        if isinstance(error.__cause__, errors.RequestRefused):
            return problem_of(error.__cause__)
        return Problem(error.status_code, "http", str(error.detail))
    return _of_backend(error)


def _of_ours(error: errors.JobPlatformError) -> Problem:
    status = next(status for kind, status in _STATUSES if isinstance(error, kind))
    again = math.ceil(getattr(error, "retry_after", _AGAIN if status == 503 else 0)) or None
    known = ("field", "permission", "job_id", "position")
    more = {name: getattr(error, name) for name in known if getattr(error, name, None) is not None}
    if isinstance(error, errors.PayloadProblems):
        more["errors"] = [{"pointer": each[0], "problem": each[1]} for each in error.problems]
    return Problem(status, _WORDS.sub("-", type(error).__name__).lower(), str(error), again, more)


def _of_request(error: RequestValidationError) -> Problem:
    found = [{"field": ".".join(map(str, each["loc"])), "problem": each["msg"]} for each in error.errors()]
    said = "; ".join(f"{each['field']}: {each['problem']}" for each in found)
    return Problem(422, "invalid-request", f"{said}; correct it", more={"errors": found})


def _of_backend(error: Exception) -> Problem:
    state = getattr(getattr(error, "orig", None), "pgcode", None)
    if state == _TOO_LONG:
        return Problem(422, "too-broad", "search: it took too long; name a type, a queue or a shorter time")
    if state == _LOCKED:
        return Problem(503, "busy", "another change is under way; try again", _AGAIN)
    if isinstance(error, database.UNREACHABLE):
        return Problem(503, "store-unavailable", "PostgreSQL cannot be reached; try again", _AGAIN)
    if isinstance(error, database.REFUSED):
        return Problem(422, "value-refused", "a value does not fit the tables, or is there already; give another")
    if isinstance(error, inspection.UNREACHABLE):
        return Problem(503, "store-unavailable", "Redis cannot be reached; try again", _AGAIN)
    return Problem(500, "fault", "something went wrong that nobody expected; give the request id to an administrator")


def answer(request: Request, error: Exception) -> Response:
    """Answer a request that came to an error."""
    found, request_id = problem_of(error), request.scope["state"]["request_id"]
    if found.status >= 500:
        _log.error("request %s %s %s: %s", request_id, request.method, request.url.path, found.kind, exc_info=error)
    headers = {} if found.again is None else {"retry-after": str(found.again)}
    if found.status == 401:
        headers["www-authenticate"] = "Bearer"
    if request.url.path.startswith("/api/"):
        return _document(found, request_id, headers)
    if isinstance(error, errors.NotSignedIn) and request.method == "GET":
        asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"/sign-in?next={quote(asked, safe='')}", 303)
    return page(request, "problem.html", status=found.status, headers=headers, problem=found, request_id=request_id)


def _document(found: Problem, request_id: str, headers: dict[str, str]) -> Response:
    content: ProblemDocument = {
        "type": f"urn:jobplatform:{found.kind}",
        "title": found.kind.replace("-", " "),
        "status": found.status,
        "detail": found.detail,
        "instance": f"urn:uuid:{request_id}",
        **found.more,  # type: ignore[typeddict-item]
    }
    return JSONResponse(content, found.status, headers, media_type="application/problem+json")


def answer_problems(app: FastAPI) -> None:
    """Let every error of an application be answered so."""

    async def reply(request: Request, error: Exception) -> Response:
        return answer(request, error)

    ours = (HTTPException, RequestValidationError, errors.JobPlatformError)
    for kind in (Exception, *ours, *database.UNREACHABLE, *database.REFUSED, *inspection.UNREACHABLE):
        app.add_exception_handler(kind, reply)
