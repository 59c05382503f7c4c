"""A place in a payload and the value that stands there, as PostgreSQL asks for it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

#: The lists and names under which a payload holds the arguments of a call.
ARGS, KWARGS = "args", "kwargs"

#: Of a place in a list; PostgreSQL counts no further.
_DIGITS = 9

Scalar = str | int | float | bool | None


class PayloadTerm(NamedTuple):
    """A value at a path, such as 42 at ``kwargs.customer.id``.

    :param path: begins with ``args`` or ``kwargs``. What follows ``args`` and is no number is looked for in every
        argument, however it was given.
    """

    path: tuple[str, ...]
    value: Scalar

    @property
    def text(self) -> str:
        """The path as people write it."""
        return ".".join(self.path)


def as_jsonpath(terms: Sequence[PayloadTerm]) -> str | None:
    """Write terms as one SQL/JSON path that finds something where all of them hold; None when there are none."""
    if not terms:
        return None
    return f"$ ? ({' && '.join(f'({_holds(term)})' for term in terms)})"


def _holds(term: PayloadTerm) -> str:
    value, (first, *rest) = json.dumps(term.value, ensure_ascii=False), term.path
    anywhere = first == ARGS and not is_index(rest[0])
    roots = [f'@."{ARGS}"[*]', f'@."{KWARGS}"'] if anywhere else [f'@."{first}"']
    return " || ".join(f"{path} == {value}" for root in roots for path in _paths(root, rest))


def _paths(root: str, steps: Sequence[str]) -> list[str]:
    """Give the ways to read a path: a number is a place in a list, and may be a name."""
    found = [root]
    for step in steps:
        ways = [f".{json.dumps(step, ensure_ascii=False)}"]
        if is_index(step):
            ways.append(f"[{int(step)}]")
        found = [f"{path}{way}" for path in found for way in ways]
    return found


def is_index(step: str) -> bool:
    """Tell whether a step can be a place in a list."""
    return step.isascii() and step.isdecimal() and len(step) <= _DIGITS
