"""Pages: templates that escape all they are given."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from jobplatform import __version__
from jobplatform.web import wording
from jobplatform.web.look import look_of
from jobplatform.web.places import places_of

_HERE = Path(__file__).parent
STATIC = _HERE / "static"
#: Characters of a file's hash in its address, so that a browser may keep the file for ever.
_HASH = 12
#: Keeps what was done until the page that tells of it.
_SAID = "jobplatform-said"
_MOST_SAID = 400


def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.do"],
    )
    made.globals.update(static=static_path, version=__version__, between=wording.between, here=here)
    words = (wording.number, wording.duration, wording.ago, wording.utc, wording.share, wording.plain)
    made.filters.update(
        {
            word.__name__: word
            for word in (*words, wording.plural, wording.moment, wording.decided, wording.initial, wording.plain)
        }
    )
    made.tests["mapping_of_json"] = lambda value: isinstance(value, Mapping)
    return made


@cache
def static_path(name: str) -> str:
    """Give the address of a file, which changes with its content."""
    return f"/static/{name}?{hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:_HASH]}"


def here(request: Request, **changed: Any) -> str:
    """Give the address of this page with some parameters changed; None leaves one out."""
    given = {name: request.query_params.getlist(name) for name in request.query_params}
    kept = {**given, **changed}
    asked = urlencode({name: value for name, value in kept.items() if value not in (None, "", [""])}, doseq=True)
    return f"{request.url.path}?{asked}" if asked else request.url.path


ENVIRONMENT = _environment()


def page(
    request: Request, template: str, status: int = 200, headers: dict[str, str] | None = None, **values: Any
) -> HTMLResponse:
    """Write a page.

    :param values: what the template shows; it knows ``request``, ``actor`` (None when nobody is signed in), where they
        may go, how they like pages to look, the time, and what was done just before as well.
    """
    actor, said = getattr(request.state, "actor", None), request.cookies.get(_SAID)
    known = {
        "request": request,
        "actor": actor,
        "places": places_of(actor),
        "look": look_of(request),
        "now": datetime.now(UTC),
        "said": unquote(said)[:_MOST_SAID] if said else None,
    }
    reply = HTMLResponse(ENVIRONMENT.get_template(template).render(**{**known, **values}), status, headers)
    if said:
        reply.delete_cookie(_SAID, path="/", httponly=True, samesite="strict")
    return reply


def go(request: Request, to: str, said: str | None = None) -> RedirectResponse:
    """Send a browser on, after something was done, to a page that tells of it.

    :param to: a path of this server.
    """
    reply = RedirectResponse(to, 303)
    if said is not None:
        kept = quote(said[:_MOST_SAID])
        secure = request.url.scheme == "https"
        reply.set_cookie(_SAID, kept, max_age=60, path="/", httponly=True, samesite="strict", secure=secure)
    return reply
