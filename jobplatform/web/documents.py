"""The document of the API, as programs and as people read it."""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from jobplatform.web.api.reply import answer
from jobplatform.web.openapi import document, operations
from jobplatform.web.page import page
from jobplatform.web.rule import does
from jobplatform.web.visit import Visiting

router = APIRouter(include_in_schema=False)


@router.get("/api/openapi.json")
@does()
def openapi(request: Request, visit: Visiting) -> Response:
    """Give the document."""
    return answer(request, _document(request))


@router.get("/api/docs")
@does()
def docs(request: Request, visit: Visiting) -> Response:
    """Show the document: what can be asked, by noun."""
    made = _document(request)
    nouns: dict[str, list[dict[str, Any]]] = {}
    for path, method, operation in operations(made):
        shown = {"path": path, "method": method.upper(), "body": _body(made, operation), **operation}
        nouns.setdefault(operation["tags"][0], []).append(shown)
    return page(request, "api_docs.html", nouns=nouns, introduction=made["info"]["description"])


def _document(request: Request) -> dict[str, Any]:
    state = request.app.state
    if not hasattr(state, "openapi"):
        state.openapi = document(request.app)
    known: dict[str, Any] = state.openapi
    return known


def _body(made: dict[str, Any], operation: dict[str, Any]) -> str | None:
    """Write the schema of what is sent, with what it refers to."""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return None
    name = content["schema"].get("$ref", "").rpartition("/")[2]
    return json.dumps(made["components"]["schemas"].get(name, content["schema"]), indent=2)
