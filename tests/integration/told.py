"""The document of the API, which answers are held against, and which of its parts they have filled."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from jsonschema import Draft202012Validator
from starlette.testclient import TestClient

API = "/api/v1"
_DONE = ("200", "201", "202")


def strict(schema: Any) -> Any:
    """Give a schema that takes no field which it does not name."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: strict(each) for name, each in schema.items()}
    return {**made, "additionalProperties": False} if isinstance(made.get("properties"), dict) else made


class Told:
    """The document, which answers are held against.

    :ivar seen: the operations that have answered.
    :ivar held: the schemas that an answer was found to have.
    """

    def __init__(self, web: TestClient) -> None:
        self.web = web
        self.document = web.get("/api/openapi.json").json()
        self.components = strict(deepcopy(self.document["components"]))
        self.seen: set[tuple[str, str]] = set()
        self.held: set[str] = set()

    def ask(self, method: str, path: str, status: int = 200, json: Any = None, **parts: Any) -> Any:
        """Ask for something, and hold the answer against what the document says."""
        reply = self.web.request(method, API + path.format(**parts), json=json)
        assert reply.status_code == status, (path, reply.text)
        named = path.partition("?")[0]
        operation = self.document["paths"][API + named][method.lower()]
        (kind,) = operation["responses"][str(status)]["content"].values()
        assert kind["schema"], f"{method} {path} does not say what it answers"
        schema = strict(kind["schema"])
        found = [f"{list(each.absolute_path)}: {each.message[:200]}" for each in self._errors(schema, reply.json())]
        assert not found, (method, path, found)
        self.seen.add((method, named))
        self._hold(schema, reply.json())
        return reply.json()

    def say(self, method: str, path: str, json: Any = None, **parts: Any) -> None:
        """Ask for what is answered with nothing."""
        reply = self.web.request(method, API + path.format(**parts), json=json)
        assert reply.status_code == 204, (path, reply.text)

    def answering(self) -> dict[tuple[str, str], tuple[str, Any]]:
        """Give of each operation that answers something as what, and the schema of that."""
        return {
            (method.upper(), path.removeprefix(API)): (kind, said["schema"])
            for path, item in self.document["paths"].items()
            for method, operation in item.items()
            for status, reply in operation["responses"].items()
            for kind, said in (reply.get("content", {}).items() if status in _DONE else ())
        }

    def named(self) -> set[str]:
        """Name the schemas of answers."""
        found: set[str] = set()
        left = _names([schema for _, schema in self.answering().values()])
        while left:
            found |= left
            left = _names([self.components["schemas"][name] for name in left]) - found
        return found

    def _errors(self, schema: Any, value: Any) -> Iterator[Any]:
        errors: Iterator[Any] = Draft202012Validator({**schema, "components": self.components}).iter_errors(value)
        return errors

    def _hold(self, schema: Any, value: Any) -> None:
        """Note which schemas a value has, all the way down."""
        for each in schema.get("anyOf", ()):
            if not any(self._errors(each, value)):
                self._hold(each, value)
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            self.held.add(name)
            schema = self.components["schemas"][name]
        if isinstance(value, dict):
            known, others = schema.get("properties", {}), schema.get("additionalProperties") or {}
            for name, each in value.items():
                self._hold(known.get(name, others), each)
        if isinstance(value, list):
            for each in value:
                self._hold(schema.get("items") or {}, each)


def _names(schemas: Any) -> set[str]:
    return set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(schemas)))
