"""One argument that a job function takes: what values fit it, what they become, and how a schema tells of it."""

from __future__ import annotations

import contextlib
import inspect
import json
import sys
import types
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from inspect import Parameter
from typing import TYPE_CHECKING, Any

from jobplatform.errors import InvalidPayload
from jobplatform.journal.storable import find_problem, segment

if TYPE_CHECKING:
    from pydantic import TypeAdapter, ValidationError

_ANYTHING: tuple[object, ...] = (Any, object)
_PLAIN_SCHEMAS: dict[type, str] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    list: "array",
    dict: "object",
    type(None): "null",
}
_ACCEPTED: dict[type, tuple[type, ...]] = {float: (float, int), list: (list, tuple)}
#: Stands for an argument that is not known yet.
AWAITED = object()


@dataclass(frozen=True)
class Argument:
    """One parameter; ``plain`` are the JSON types it takes, None where anything goes or pydantic decides."""

    name: str
    kind: Any
    annotation: Any
    default: Any
    plain: tuple[type, ...] | None

    @cached_property
    def accepted(self) -> frozenset[type] | None:
        """The exact types that need no second look; None when every value is taken."""
        if self.plain is None and self.annotation in _ANYTHING:
            return None
        kinds = {kind for plain in self.plain or () for kind in _ACCEPTED.get(plain, (plain,))}
        return frozenset(kinds | {type(None)} if self.default is None else kinds)

    @cached_property
    def adapter(self) -> TypeAdapter[Any] | None:
        """The pydantic validator; None when pydantic has no schema for the annotation."""
        from pydantic import PydanticUndefinedAnnotation, PydanticUserError, TypeAdapter

        try:
            return TypeAdapter(self.annotation)
        except (PydanticUserError, PydanticUndefinedAnnotation):
            return None

    def converted(self, field: str, value: Any) -> Any:
        """Give a value as the annotated type, or raise InvalidPayload that names ``field``."""
        if self.accepted is None or type(value) in self.accepted or value is AWAITED:
            return value
        expected = inspect.formatannotation(self.annotation)
        fix = f"pass {self.name}: {expected}"
        if self.plain is None:
            return validated(self.adapter.validate_json, field, value, fix) if self.adapter else value
        if isinstance(value, tuple(self.accepted)) and not isinstance(value, bool):
            return value
        raise InvalidPayload(field, f"it must be {expected}, not {type(value).__name__}", fix)


def arguments_of(function: Callable[..., Any]) -> list[Argument]:
    """Read what a function takes."""
    namespace = getattr(inspect.unwrap(function), "__globals__", {})
    found = []
    for item in _inspected(function).parameters.values():
        annotation = Any if item.annotation is Parameter.empty else _resolved(item.annotation, namespace)
        found.append(Argument(item.name, item.kind, annotation, item.default, _plain_types(annotation)))
    return found


def _inspected(function: Callable[..., Any]) -> inspect.Signature:
    if sys.version_info >= (3, 14):
        from annotationlib import Format

        return inspect.signature(function, annotation_format=Format.FORWARDREF)
    return inspect.signature(function)


def _resolved(annotation: Any, namespace: dict[str, Any]) -> Any:
    def holder() -> None: ...

    holder.__annotations__ = {"it": annotation}
    try:
        return typing.get_type_hints(holder, globalns=namespace, include_extras=True)["it"]
    except Exception:  # noqa: BLE001 - evaluating the text of an annotation can raise anything
        return Any


def _plain_types(annotation: Any) -> tuple[type, ...] | None:
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        parts = [_plain_types(part) for part in inner]
        return None if None in parts else tuple(kind for part in parts for kind in part or ())
    of_anything = all(part in _ANYTHING for part in inner[-1:])
    if of_anything and (origin is list or (origin is dict and inner[:1] in ((), (str,)))):
        annotation = origin
    return (annotation,) if isinstance(annotation, type) and annotation in _PLAIN_SCHEMAS else None


def validated(validate: Callable[..., Any], field: str, value: Any, fix: str) -> Any:
    """Give what pydantic makes of a value.

    :raises InvalidPayload: naming the field.
    """
    from pydantic import ValidationError

    try:
        return validate(json.dumps(value), strict=True)
    except ValidationError as error:
        raise _refusal(error, field, value, fix) from error
    except (TypeError, ValueError, RecursionError) as error:
        raise find_problem(field, value) or InvalidPayload(field, f"no check: {error}", fix) from error


def _refusal(error: ValidationError, field: str, value: Any, fix: str) -> InvalidPayload:
    """Turn pydantic's first complaint into ours, with a path that leaves out pydantic's own union marks."""
    first = error.errors(include_url=False, include_input=False)[0]
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    for step in first["loc"]:
        if isinstance(value, dict) and step in value:
            value = value[str(step)]
        elif isinstance(value, (list, tuple)) and isinstance(step, int) and step < len(value):
            value = value[step]
        elif first["type"] != "missing" or step != first["loc"][-1]:
            continue
        field += segment(step)
    got = "" if first["type"] in ("missing", "extra_forbidden") else f", not {type(value).__name__}"
    return find_problem(field, value) or InvalidPayload(field, f"{first['msg']}{got}{more}", fix)


def schemas(parameters: Sequence[Argument]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Give the schema of each parameter, and the definitions that they share."""
    from_pydantic, definitions = dict[Any, Any](), dict[str, Any]()
    rich = [item for item in parameters if item.plain is None and item.accepted is not None and item.adapter]
    inputs: list[Any] = [(item.name, "validation", item.adapter) for item in rich]
    if inputs:
        from pydantic import PydanticUserError, TypeAdapter

        with contextlib.suppress(PydanticUserError):
            from_pydantic, definitions = TypeAdapter.json_schemas(inputs)
    properties = {}
    for item in parameters:
        kinds = [_PLAIN_SCHEMAS[kind] for kind in item.plain or ()]
        plain = {"type": kinds[0] if len(kinds) == 1 else kinds} if kinds else {}
        default = {"default": item.default} if type(item.default) in (str, int, float, bool, type(None)) else {}
        properties[item.name] = {**from_pydantic.get((item.name, "validation"), plain), **default}
    return properties, definitions
