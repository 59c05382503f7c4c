"""The line that raised an error tells which words of its message are variable: those that it fills in."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from functools import lru_cache
from string import Formatter
from typing import NamedTuple

from jobplatform.fingerprint.skeleton import names_follow

#: What is filled in under such a name is a message of its own.
_TELLING = re.compile(
    "e|ex|err|errors?|exc|exception|cause|reason|why|message|msg|text|details?|problem|failure|title|status|status_code|code|errno"
)
_PERCENT = re.compile(r"%(?:\(\w+\))?[-#0 +]*[\d*]*(?:\.\d+)?[sdrifgGexXac]")
_LONGEST_LINE = 500
#: Stands for what was filled in: a number is what no message is told from another by.
_BLANK = "0"
_LEAST_LETTERS = 4


class Template(NamedTuple):
    """A message with gaps.

    :param pattern: finds in a message what fills the gaps.
    :param telling: which gaps hold a message of their own.
    """

    pattern: re.Pattern[str]
    telling: Sequence[bool]


def fill_blank(source: str, message: str) -> str:
    """Blank out of a message what the line that raised it fills in; the message as it is when that cannot be told.

    What is quoted, or follows a word such as ``column``, stays.

    :param source: a line of code with ``raise`` or ``assert``.
    """
    begin = source.find("raise ")
    line = source if source.startswith("assert ") else source[begin:] if begin >= 0 else ""
    template = template_of(line) if line else None
    found = template.pattern.fullmatch(message) if template else None
    if template is None or found is None:
        return message
    parts, end = [], 0
    for gap, telling in enumerate(template.telling, 1):
        start, stop = found.span(gap)
        before = message[max(0, start - 40) : start]
        value = message[start:stop]
        quoted = before[-1:] in ("'", '"', "`") or value[:1] in ("'", '"', "`", "[", "{", "(")
        kept = telling or not value or quoted or "://" in value or before.endswith("://") or names_follow(before)
        parts += [message[end:start], value if kept else _BLANK]
        end = stop
    return "".join([*parts, message[end:]])


@lru_cache(maxsize=2048)
def template_of(source: str) -> Template | None:
    """Read the message that a line of code raises an error with; None if it fills nothing in."""
    try:
        tree = ast.parse(source) if len(source) <= _LONGEST_LINE else None
    except (SyntaxError, ValueError):
        return None
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.Raise | ast.Assert):
            said = node.exc if isinstance(node, ast.Raise) else node.msg
            texts = (_pieces(each) for each in ast.walk(said)) if said is not None else ()
            return next((_compiled(pieces) for pieces in texts if pieces), None)
    return None


def _pieces(node: ast.AST) -> list[str | Sequence[ast.AST]]:
    """Cut a text into what stands there and what is filled in; nothing if it is not filled in at all."""
    if isinstance(node, ast.JoinedStr):
        return [str(part.value) if isinstance(part, ast.Constant) else [part] for part in node.values]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        parts = [_pieces(side) or _whole(side) for side in (node.left, node.right)]
        return [*parts[0], *parts[1]] if any(isinstance(piece, str) for part in parts for piece in part) else []
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod) and _is_text(node.left):
        values = node.right.elts if isinstance(node.right, ast.Tuple) else [node.right]
        return _woven([text.replace("%%", "%") for text in _PERCENT.split(node.left.value)], values)  # type: ignore[attr-defined]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
        return _formatted(node.func.value, [*node.args, *(keyword.value for keyword in node.keywords)])
    return []


def _whole(node: ast.AST) -> list[str | Sequence[ast.AST]]:
    return [str(node.value)] if isinstance(node, ast.Constant) else [[node]]


def _formatted(text: ast.AST, values: Sequence[ast.AST]) -> list[str | Sequence[ast.AST]]:
    if not _is_text(text):
        return []
    parsed = list(Formatter().parse(text.value))  # type: ignore[attr-defined]
    closed = [""] if parsed and parsed[-1][1] is not None else []
    return _woven([fixed for fixed, *_ in parsed] + closed, values)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _woven(texts: Sequence[str], values: Sequence[ast.AST]) -> list[str | Sequence[ast.AST]]:
    pieces: list[str | Sequence[ast.AST]] = []
    for number, text in enumerate(texts):
        pieces += [text] if not number else [values[number - 1 : number], text]
    return pieces


def _compiled(pieces: Sequence[str | Sequence[ast.AST]]) -> Template | None:
    fixed = "".join(piece for piece in pieces if isinstance(piece, str))
    if sum(map(str.isalpha, fixed)) < _LEAST_LETTERS:
        return None
    pattern = "".join(re.escape(piece) if isinstance(piece, str) else "(.*?)" for piece in pieces)
    gaps = [piece for piece in pieces if not isinstance(piece, str)]
    return Template(re.compile(pattern, re.DOTALL), [any(map(_is_telling, gap)) for gap in gaps])


def _is_telling(node: ast.AST) -> bool:
    names = (getattr(each, "id", None) or getattr(each, "attr", None) for each in ast.walk(node))
    return any(name and _TELLING.fullmatch(name) for name in names)
