"""Values held against a JSON Schema, so that each field that does not fit is named; pure.

What pydantic writes is read: JSON Schema 2020-12 without dynamic references, and without what only speaks of whole
documents. A keyword that is not known here says nothing; the worker checks all once more.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

Schema = Mapping[str, Any]

#: So many problems are told at once.
MOST = 50
#: A schema that refers to itself ends with the value, but not where it refers to itself alone.
_DEEPEST = 200
#: Above it a float is no longer exact.
_EXACT = 2.0**53
_TYPES: Mapping[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: _is_number(value) and (isinstance(value, int) or value.is_integer()),
    "number": lambda value: _is_number(value),
    "boolean": lambda value: isinstance(value, bool),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
    "null": lambda value: value is None,
}


class Problem(NamedTuple):
    """A value that does not fit.

    :param pointer: where it is (RFC 6901), such as ``/items/0/price``.
    :param problem: what is wrong, and what would be right; never the value itself.
    """

    pointer: str
    problem: str


def problems(value: Any, schema: Schema) -> list[Problem]:
    """List what of a value does not fit, so many at most."""
    found = _Check(schema.get("$defs", {})).of(value, schema, "", 0)
    return [problem for problem, _ in zip(found, range(MOST), strict=False)]


def step(name: object) -> str:
    """Write one step of a JSON pointer (RFC 6901, section 3)."""
    return "/" + str(name).replace("~", "~0").replace("/", "~1")


class _Check:
    """The keywords, each a method; what they yield is in the order of the fields."""

    def __init__(self, definitions: Mapping[str, Schema]) -> None:
        self.definitions = definitions

    def of(self, value: Any, schema: Schema | bool, at: str, depth: int) -> Iterator[Problem]:
        if isinstance(schema, bool):
            yield from () if schema else (Problem(at, "nothing is taken here"),)
            return
        if depth > _DEEPEST:
            yield Problem(at, "it is nested too deeply")
            return
        if "default" in schema and _same(value, schema["default"]):
            return
        mistaken = _mistaken_type(value, schema)
        if mistaken:
            yield Problem(at, mistaken)
            return
        yield from self._combined(value, schema, at, depth + 1)
        yield from (Problem(at, words) for words in _of_value(value, schema))
        if isinstance(value, dict):
            yield from self._object(value, schema, at, depth + 1)
        elif isinstance(value, list):
            yield from self._array(value, schema, at, depth + 1)

    def _combined(self, value: Any, schema: Schema, at: str, depth: int) -> Iterator[Problem]:
        reference = schema.get("$ref")
        if isinstance(reference, str):
            yield from self.of(value, self.definitions.get(reference.rpartition("/")[2], {}), at, depth)
        for each in schema.get("allOf", ()):
            yield from self.of(value, each, at, depth)
        for name in ("anyOf", "oneOf"):
            if name in schema:
                yield from self._nearest(value, schema[name], at, depth)

    def _nearest(self, value: Any, choices: Sequence[Schema], at: str, depth: int) -> Iterator[Problem]:
        """Tell what is wrong by the choice that fits best: the one that is refused farthest within."""
        refused = []
        for choice in choices:
            found = [problem for problem, _ in zip(self.of(value, choice, at, depth), range(MOST), strict=False)]
            if not found:
                return
            refused.append(found)
        deep = [found for found in refused if all(each.pointer != at for each in found)]
        if deep:
            yield from min(deep, key=len)
        elif refused:
            yield Problem(at, "; or ".join(dict.fromkeys(found[0].problem for found in refused)))

    def _object(self, value: dict[str, Any], schema: Schema, at: str, depth: int) -> Iterator[Problem]:
        known: Mapping[str, Schema] = schema.get("properties", {})
        for name in schema.get("required", ()):
            if name not in value:
                yield Problem(at + step(name), "it is missing")
        rest = schema.get("additionalProperties", True)
        for name, each in value.items():
            if name in known:
                yield from self.of(each, known[name], at + step(name), depth)
            elif rest is False:
                yield Problem(at + step(name), f"there is no such field; {_hint(name, known)}")
            elif isinstance(rest, Mapping):
                yield from self.of(each, rest, at + step(name), depth)
        yield from _counted(at, len(value), schema, "minProperties", "maxProperties", "fields")

    def _array(self, value: list[Any], schema: Schema, at: str, depth: int) -> Iterator[Problem]:
        first: Sequence[Schema] = schema.get("prefixItems", ())
        for place, each in enumerate(value):
            wanted = first[place] if place < len(first) else schema.get("items", True)
            yield from self.of(each, wanted, at + step(place), depth)
        yield from _counted(at, len(value), schema, "minItems", "maxItems", "items")
        if schema.get("uniqueItems") and len({json.dumps(each, sort_keys=True) for each in value}) < len(value):
            yield Problem(at, "two of its items are the same")


def _mistaken_type(value: Any, schema: Schema) -> str | None:
    kinds = schema.get("type")
    if kinds is None:
        return None
    names = [kinds] if isinstance(kinds, str) else list(kinds)
    if any(_TYPES[name](value) for name in names if name in _TYPES):
        return None
    return f"it must be {' or '.join(names)}, not {_type_of(value)}"


def _of_value(value: Any, schema: Schema) -> Iterator[str]:
    """Tell what is wrong with a value whatever is in it."""
    if "const" in schema and not _same(value, schema["const"]):
        yield f"it must be {schema['const']!r}"
    if "enum" in schema and not any(_same(value, each) for each in schema["enum"]):
        yield f"it must be one of {', '.join(map(repr, schema['enum'][:20]))}"
    if _is_number(value):
        yield from _of_number(value, schema)
    elif isinstance(value, str):
        yield from (words for _, words in _counted("", len(value), schema, "minLength", "maxLength", "characters"))
        pattern = schema.get("pattern")
        if pattern is not None and not _matches(pattern, value):
            yield f"it does not match {pattern}"


def _of_number(value: float, schema: Schema) -> Iterator[str]:
    if "minimum" in schema and value < schema["minimum"]:
        yield f"it must be {schema['minimum']} or more"
    if "exclusiveMinimum" in schema and value <= schema["exclusiveMinimum"]:
        yield f"it must be more than {schema['exclusiveMinimum']}"
    if "maximum" in schema and value > schema["maximum"]:
        yield f"it must be {schema['maximum']} or less"
    if "exclusiveMaximum" in schema and value >= schema["exclusiveMaximum"]:
        yield f"it must be less than {schema['exclusiveMaximum']}"
    factor = schema.get("multipleOf")
    if factor and abs(value) < _EXACT and abs(value / factor - round(value / factor)) > 1e-9:
        yield f"it must be a multiple of {factor}"


def _counted(at: str, count: int, schema: Schema, least: str, most: str, noun: str) -> Iterator[Problem]:
    if count < schema.get(least, 0):
        yield Problem(at, f"it has {count} {noun}, and must have {schema[least]} or more")
    if most in schema and count > schema[most]:
        yield Problem(at, f"it has {count} {noun}, and must have {schema[most]} or fewer")


def _hint(name: str, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return f"did you mean {near[0]!r}?" if near else f"it takes {', '.join(known) or 'none'}"


@lru_cache(maxsize=256)
def _expression(pattern: str) -> Any:
    """Compile a pattern as pydantic does, in time that grows with the text alone; None when it cannot be."""
    from pydantic_core import SchemaError, SchemaValidator, core_schema

    try:
        return SchemaValidator(core_schema.str_schema(pattern=pattern))
    except SchemaError:
        return None


def _matches(pattern: str, value: str) -> bool:
    from pydantic_core import ValidationError

    expression = _expression(pattern)
    try:
        return expression is None or expression.validate_python(value) is not None
    except ValidationError:
        return False


def _same(one: Any, other: Any) -> bool:
    """Tell whether two values are the same in JSON, where true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _type_of(value: Any) -> str:
    order = ("null", "boolean", "string", "integer", "number", "array", "object")
    return next((name for name in order if _TYPES[name](value)), type(value).__name__)
