"""Analyse the source text of one Python file; pure, so that it needs no platform to be tested."""

from __future__ import annotations

import ast
import importlib.util
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_IMPORTS = (ast.Import, ast.ImportFrom)
#: What adds a path through a function (T. J. McCabe, "A Complexity Measure", 1976).
_BRANCHES = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.IfExp, ast.Assert, ast.match_case)


@dataclass(frozen=True, slots=True)
class Analysis:
    """The numbers of one file; the complexities are zero when it has no function."""

    lines: int
    code_lines: int
    functions: int
    classes: int
    imports: int
    complexity_max: int
    complexity_mean: float


def analyse(source: bytes, name: str) -> Analysis:
    """Count what a file holds.

    :param name: the file's name in error messages.
    :raises SyntaxError: when the file is no Python; ValueError from some Pythons for null bytes.
    """
    tree = parse(source, name)
    text = importlib.util.decode_source(source)
    lines = text.split("\n") if text else []
    nodes = list(ast.walk(tree))
    complexities = [complexity(node) for node in nodes if isinstance(node, _FUNCTIONS)]
    return Analysis(
        lines=len(lines) - text.endswith("\n"),
        code_lines=sum(1 for line in map(str.strip, lines) if line and not line.startswith("#")),
        functions=len(complexities),
        classes=sum(isinstance(node, ast.ClassDef) for node in nodes),
        imports=sum(len(node.names) for node in nodes if isinstance(node, _IMPORTS)),
        complexity_max=max(complexities, default=0),
        complexity_mean=round(sum(complexities) / len(complexities), 2) if complexities else 0.0,
    )


def parse(source: bytes, name: str) -> ast.Module:
    """Parse a file and compile it, since some errors show only there; its warnings are none of ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(source, name)
        compile(tree, name, "exec", dont_inherit=True)
    return tree


def complexity(function: _Function) -> int:
    """Count the independent paths through a function; a function inside it counts for itself."""
    return 1 + sum(_paths(node) for node in _own_nodes(function))


def _paths(node: ast.AST) -> int:
    if isinstance(node, ast.BoolOp):
        return len(node.values) - 1
    if isinstance(node, ast.comprehension):
        return 1 + len(node.ifs)
    return int(isinstance(node, _BRANCHES))


def _own_nodes(function: _Function) -> Iterator[ast.AST]:
    waiting: list[ast.AST] = [*function.body]
    while waiting:
        node = waiting.pop()
        if not isinstance(node, _FUNCTIONS):
            yield node
            waiting.extend(ast.iter_child_nodes(node))


def error_of(source: bytes, name: str) -> str | None:
    """Name the class of the error that a file cannot be analysed for; None when it can."""
    try:
        analyse(source, name)
    except (SyntaxError, ValueError, RecursionError) as error:
        return type(error).__name__
    return None
