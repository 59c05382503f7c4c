"""A form for what a job type takes, from its JSON Schema, and back to values; pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

Schema = Mapping[str, Any]

_NUMBERS = {"integer": int, "number": float}


class Entry(NamedTuple):
    """One argument.

    :param kind: ``text``, ``number``, ``choice``, ``switch`` or ``json``.
    :param value: what stands in it.
    """

    name: str
    kind: str
    required: bool
    hint: str
    value: str
    choices: tuple[str, ...] = ()


def entries(schema: Schema, given: Mapping[str, str]) -> list[Entry]:
    """Give an entry for each argument.

    :param given: what was written so far, by name.
    """
    needed = set(schema.get("required", ()))
    return [
        _entry(name, _resolved(part, schema), name in needed, given.get(name))
        for name, part in schema.get("properties", {}).items()
    ]


def _entry(name: str, part: Schema, required: bool, given: str | None) -> Entry:
    kind, choices = _kind(part), _choices(part)
    default = "" if "default" not in part or part["default"] is None else _text(part["default"], kind)
    parts = (part.get("description"), _bounds(part), "JSON" if kind == "json" else None)
    hint = " ".join(f"{str(each).rstrip('.')}." for each in parts if each)
    return Entry(name, kind, required, hint, default if given is None else given, choices)


def _resolved(part: Schema, schema: Schema) -> Schema:
    """Follow a reference, and take the one of two that is not null."""
    name = str(part.get("$ref", "")).removeprefix("#/$defs/")
    if name in schema.get("$defs", {}):
        return {**schema["$defs"][name], **{key: value for key, value in part.items() if key != "$ref"}}
    others = [each for each in part.get("anyOf", ()) if each.get("type") != "null"]
    if len(others) == 1:
        return {**_resolved(others[0], schema), **{key: value for key, value in part.items() if key != "anyOf"}}
    return part


def _kind(part: Schema) -> str:
    if _choices(part):
        return "choice"
    kind = part.get("type")
    if kind in _NUMBERS:
        return "number"
    return {"string": "text", "boolean": "switch"}.get(str(kind), "json")


def _choices(part: Schema) -> tuple[str, ...]:
    return tuple(map(str, part.get("enum", ()))) if all(isinstance(each, str) for each in part.get("enum", ())) else ()


def _bounds(part: Schema) -> str | None:
    low, high = part.get("minimum", part.get("exclusiveMinimum")), part.get("maximum", part.get("exclusiveMaximum"))
    if low is not None and high is not None:
        return f"From {low} to {high}"
    return f"At least {low}" if low is not None else None if high is None else f"At most {high}"


def _text(value: Any, kind: str) -> str:
    if kind == "switch":
        return "true" if value else ""
    return json.dumps(value) if kind == "json" else str(value)


class Unread(NamedTuple):
    """An entry that cannot be read."""

    name: str
    problem: str


def values(schema: Schema, given: Mapping[str, str]) -> tuple[dict[str, Any], list[Unread]]:
    """Read what was written; what was left empty and is not needed is left out."""
    read: dict[str, Any] = {}
    wrong: list[Unread] = []
    for entry in entries(schema, given):
        text = given.get(entry.name, "")
        part = _resolved(schema["properties"][entry.name], schema)
        if entry.kind == "switch":
            read[entry.name] = text == "true"
        elif text == "" and not (entry.required and entry.kind == "text"):
            continue
        else:
            try:
                read[entry.name] = _value(entry.kind, part, text)
            except ValueError as error:
                wrong.append(Unread(entry.name, str(error)))
    return read, wrong


def _value(kind: str, part: Schema, text: str) -> Any:
    if kind == "number":
        try:
            return _NUMBERS[part["type"]](text)
        except ValueError:
            raise ValueError(f"it is no {part['type']}; write one, such as 42") from None
    if kind == "json":
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            raise ValueError('it is no JSON; write it as in {"a": [1, 2]}, a text in quotes') from None
    return text
