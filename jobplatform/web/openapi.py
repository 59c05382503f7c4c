"""The OpenAPI document of the API: what each operation takes, who may, and what it answers when it refuses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import iter_route_contexts

from jobplatform import __version__
from jobplatform.web.api.route import KEY
from jobplatform.web.gives import gift_of
from jobplatform.web.problem import ProblemDocument
from jobplatform.web.rule import Rule, Served, served
from jobplatform.web.shape import Shapes

PREFIX = "/api/v1/"
_PROBLEM = ProblemDocument.__name__
_WORDS = {
    400: "It cannot be read as a request at all.",
    401: "Nobody is known to have asked.",
    403: "A permission is missing, or a page of another site asked.",
    404: "It is not there, or out of scope.",
    409: "Its state, or something of the same name, does not allow it.",
    413: "The body is too large.",
    421: "The host that was asked for is none of this server.",
    422: "A value cannot be used; nothing was done.",
    429: "It was asked too often; `Retry-After` says when to come again.",
    503: "A store is away; `Retry-After` says when to come again.",
}
_INTRODUCTION = (
    "Everything that the command line can do. Send `Authorization: Bearer TOKEN`; `jobplatform tokens add` makes one. "
    "Lists give `next`, to be sent as `after`. With `Idempotency-Key` a write that is sent again is not done again. "
    "What is refused is answered as a problem document (RFC 9457) that names the field, the problem and the fix."
)


def document(app: FastAPI) -> dict[str, Any]:
    """Write the document of an application."""
    made = get_openapi(title="jobplatform", version=__version__, routes=app.routes, description=_INTRODUCTION)
    made["paths"] = {path: item for path, item in made["paths"].items() if path.startswith(PREFIX)}
    schemas = made.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    shapes = Shapes()
    shapes.of(ProblemDocument)
    made["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    made["security"] = [{"token": []}]
    rules = {(method, each.path): each for each in served(app) for method in each.methods}
    gifts = {
        (method, each.path): gift_of(each.endpoint)
        for each in iter_route_contexts(app.routes)
        for method in each.methods or ()
    }
    for path, method, operation in operations(made):
        _complete(operation, method, rules[method.upper(), path])
        gift = gifts[method.upper(), path]
        _describe(operation, {} if gift is None else gift.schema(shapes))
    _add(schemas, shapes.named)
    return made


def _add(schemas: dict[str, Any], named: Mapping[str, Any]) -> None:
    """Add the schemas of answers to those of what is sent.

    :raises TypeError: when one would take the place of another.
    """
    for name in schemas.keys() & named.keys():
        raise TypeError(f"{name}: something that is sent and something that is answered are of this name; rename one")
    schemas |= named


def operations(made: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Give path, method and operation of each."""
    for path, item in made["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def _complete(operation: dict[str, Any], method: str, route: Served) -> None:
    rule = route.rule or Rule()
    words = operation.get("description", "").strip()
    operation["summary"] = words.partition("\n")[0].partition(";")[0].rstrip(".:")
    operation["x-actions"] = list(rule)
    operation["x-permissions"] = sorted({str(each.permission) for each in rule.actions})
    operation["description"] = f"{words}\n\nTakes: {', '.join(operation['x-permissions']) or 'a session or a token'}."
    for status, words in _WORDS.items():
        operation["responses"][str(status)] = {
            "description": words,
            "content": {"application/problem+json": {"schema": {"$ref": f"#/components/schemas/{_PROBLEM}"}}},
        }
    for status, reply in operation["responses"].items():
        if status == "200" and method == "get":
            reply["headers"] = {"ETag": {"schema": {"type": "string"}}}
    if method == "get":
        operation["responses"]["304"] = {"description": "What the program has is what is."}
    elif not any(each["name"] == KEY for each in operation.get("parameters", ())):
        schema = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"}
        operation.setdefault("parameters", []).append(
            {"name": KEY, "in": "header", "required": False, "schema": schema}
        )


def _describe(operation: dict[str, Any], schema: dict[str, Any]) -> None:
    """Say what is answered when all went well."""
    for status, reply in operation["responses"].items():
        if status in ("200", "201", "202"):
            reply["content"] = {_kind(operation): {"schema": schema}}


def _kind(operation: dict[str, Any]) -> str:
    if operation["x-actions"][-1:] == ["models.report"]:
        return "text/html"
    lines = any(name.endswith(".export") for name in operation["x-actions"])
    return "application/x-ndjson" if lines else "application/json"
