"""Pages: templates that escape all they are given."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from jobplatform import __version__

_HERE = Path(__file__).parent
STATIC = _HERE / "static"
#: Characters of a file's hash in its address, so that a browser may keep the file for ever.
_HASH = 12


def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(static=static_path, version=__version__)
    return made


@cache
def static_path(name: str) -> str:
    """Give the address of a file, which changes with its content."""
    return f"/static/{name}?{hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:_HASH]}"


ENVIRONMENT = _environment()


def page(
    request: Request, template: str, status: int = 200, headers: dict[str, str] | None = None, **values: Any
) -> HTMLResponse:
    """Write a page.

    :param values: what the template shows; it knows ``request`` and ``actor`` (None when nobody is signed in) as well.
    """
    known = {"request": request, "actor": getattr(request.state, "actor", None)}
    return HTMLResponse(ENVIRONMENT.get_template(template).render(**known, **values), status, headers)
