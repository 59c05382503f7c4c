"""The JSON Schema of what an action gives, from the types that it says it gives, as ``reply.plain`` writes them; pure.

A row is a mapping of which a type beside it, ``Annotated[Row, Job]``, says what it holds.
"""

from __future__ import annotations

import types
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict
from uuid import UUID

Schema = dict[str, Any]

_PLAIN: Mapping[Any, Schema] = {
    type(None): {"type": "null"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    Decimal: {"type": "number"},
    str: {"type": "string"},
    datetime: {"type": "string", "format": "date-time"},
    date: {"type": "string", "format": "date"},
    timedelta: {"type": "number", "description": "Seconds."},
    UUID: {"type": "string", "format": "uuid"},
    bytes: {"type": "string", "description": "In hexadecimal digits."},
}
_LISTS = (list, tuple, set, frozenset, Sequence, Collection, Iterator)


class Shapes:
    """Schemas by name, as they refer to each other.

    :ivar named: what they refer to.
    """

    def __init__(self, prefix: str = "#/components/schemas/") -> None:
        self.prefix = prefix
        self.named: dict[str, Schema] = {}
        self._kinds: dict[str, Any] = {}

    def of(self, kind: Any) -> Schema:
        """Give the schema of a type.

        :raises TypeError: for one that is never answered, or of which nobody knows what it holds.
        """
        if kind in (Any, object):
            return {}
        if kind in _PLAIN:
            return dict(_PLAIN[kind])
        origin, inner = get_origin(kind), get_args(kind)
        if origin is Annotated:
            return self.of(next(filter(is_typeddict, inner[1:]), inner[0]))
        if origin in (Union, types.UnionType):
            return {"anyOf": [self.of(each) for each in inner]}
        if origin is Literal:
            return {"enum": list(inner)}
        if origin is not None:
            return self._of_many(origin, inner)
        if isinstance(kind, type):
            return self._of_class(kind)
        raise TypeError(f"{kind!r} cannot be answered as JSON")

    def _of_many(self, origin: Any, inner: tuple[Any, ...]) -> Schema:
        if issubclass(origin, Mapping):
            value = self.of(int if issubclass(origin, Counter) else inner[1])
            return {"type": "object", **({"additionalProperties": value} if value else {})}
        if not issubclass(origin, _LISTS):
            raise TypeError(f"{origin!r} cannot be answered as JSON")
        parts = [each for each in inner if each is not Ellipsis]
        if origin is tuple and Ellipsis not in inner:
            return {"type": "array", "prefixItems": [self.of(each) for each in parts], "items": False}
        return {"type": "array", "items": self.of(parts[0])}

    def _of_class(self, kind: type) -> Schema:
        if issubclass(kind, Enum):
            return {"enum": [each.value for each in kind]}
        for plain in (int, str):
            if issubclass(kind, plain):
                return dict(_PLAIN[plain])
        names = _names(kind)
        if names is None:
            raise TypeError(f"{kind!r} cannot be answered as JSON")
        return self._named(kind, names)

    def _named(self, kind: type, names: Collection[str]) -> Schema:
        name = _name(kind)
        if self._kinds.setdefault(name, kind) is not kind:
            raise TypeError(f"{name}: there are two of this name; rename one of them")
        if name not in self.named:
            # Named first, as it may refer to itself.
            made = self.named[name] = {"title": kind.__name__, "type": "object"}
            hints = get_type_hints(kind, include_extras=True)
            made |= {"description": _words(kind), "required": [each for each in names if each in _needed(kind, names)]}
            made["properties"] = {each: self.of(hints[each]) for each in names}
        return {"$ref": self.prefix + name}


def given_by(function: Callable[..., Any]) -> Any:
    """Give the type of what a function says that it gives."""
    return get_type_hints(function, include_extras=True)["return"]


def _names(kind: type) -> list[str] | None:
    """Name the fields of a class that are told, in order; None when it is not told field by field."""
    if is_typeddict(kind):
        return list(get_type_hints(kind))
    if issubclass(kind, tuple) and hasattr(kind, "_fields"):
        return list(kind._fields)
    return [each.name for each in fields(kind) if each.name[0] != "_"] if is_dataclass(kind) else None


def _needed(kind: type, names: Collection[str]) -> Collection[str]:
    needed: Collection[str] = getattr(kind, "__required_keys__", names)
    return needed


def _name(kind: type) -> str:
    return kind.__name__ if is_typeddict(kind) else f"{kind.__module__.rpartition('.')[2]}.{kind.__name__}"


def _words(kind: type) -> str:
    return (kind.__doc__ or "").strip().partition("\n\n")[0]
