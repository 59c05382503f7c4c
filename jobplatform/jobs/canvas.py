"""Celery's chains, groups and chords as workflows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from celery import group
from celery.canvas import Signature, _chain, _chord

from jobplatform.errors import JobOptionError


class Node(Protocol):
    """A job that was added."""

    @property
    def id(self) -> str: ...


#: Adds a job after others, whose results are its first argument if asked for: (signature, nodes, each, takes them).
Add = Callable[[Signature, Sequence[Node], bool, bool], Node]

_LINKS = ("link", "link_error")


def convert(canvas: Any, add: Add, before: Sequence[Node] = (), each: bool = True) -> list[Node]:
    """Add the jobs of a canvas, and give those that nothing in it waits for.

    :param before: what the first of them wait for.
    :param each: whether there is one of those, whose result is passed on as it is, and not in a list.
    :raises JobOptionError: for a part that has no counterpart: links, and ``map``, ``starmap`` and ``chunks``.
    """
    _check(canvas)
    if isinstance(canvas, _chain):
        for part in canvas.tasks:
            before = convert(part, add, before, each)
            each = not isinstance(part, group)
        return list(before)
    if isinstance(canvas, group):
        return [node for part in canvas.tasks for node in convert(part, add, before, each)]
    if isinstance(canvas, _chord):
        header = canvas.tasks if isinstance(canvas.tasks, group) else group(canvas.tasks)
        return convert(canvas.body, add, convert(header, add, before, each), each=False)
    return [add(canvas, before, each, bool(before) and not canvas.immutable)]


def _check(canvas: Any) -> None:
    if not isinstance(canvas, Signature):
        raise JobOptionError(f"from_canvas: {canvas!r} is no signature; give chain(...), group(...), chord(...)")
    links = [name for name in _LINKS if canvas.options.get(name)]
    if links:
        raise JobOptionError(f"from_canvas: {canvas.task}: {links[0]}: it has no counterpart; add a node after it")
    if canvas.task in ("celery.map", "celery.starmap", "celery.chunks"):
        raise JobOptionError(f"from_canvas: {canvas.task}: it has no counterpart; use a group")
