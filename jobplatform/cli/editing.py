"""How a command is told of another payload: whole, or by what is different in it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, NamedTuple

import click

from jobplatform.errors import InvalidPayload
from jobplatform.jobs.editing import parse_removal, parse_setting

Command = Callable[..., Any]

DIFFERENCE_COLUMNS = ("path", "kind", "before", "after")

_OPTIONS = (
    click.option("--payload", help='A whole one as JSON, {"args": [...], "kwargs": {...}}; @FILE, or - to read it.'),
    click.option(
        "--set", "settings_", metavar="PATH=VALUE", multiple=True, help="Such as kwargs.user_id=5 or args[0]=1."
    ),
    click.option("--unset", "removals", metavar="PATH", multiple=True, help="Such as kwargs.user_id."),
)


class Edit(NamedTuple):
    """Another payload: a whole one, and what is set and taken away in it or in the one there is."""

    whole: Any
    changes: Sequence[Any]


def editing(command: Command) -> Command:
    """Add the options of an edit; the command takes it as ``edit``."""

    @wraps(command)
    def run(*, payload: str | None, settings_: tuple[str, ...], removals: tuple[str, ...], **options: Any) -> Any:
        changes = [*map(parse_setting, settings_), *map(parse_removal, removals)]
        return command(edit=Edit(None if payload is None else _read(payload), changes), **options)

    for option in reversed(_OPTIONS):
        run = option(run)
    return run


def _read(text: str) -> Any:
    """Read a payload from the command line, a file, or standard input."""
    if text == "-":
        with click.open_file("-") as source:
            text = source.read()
    elif text.startswith("@"):
        try:
            text = Path(text[1:]).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidPayload("--payload", f"{text[1:]} cannot be read ({error})", "name a file of JSON") from error
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        fix = """give JSON such as '{"args": [], "kwargs": {"x": 1}}'"""
        raise InvalidPayload("--payload", f"it is no JSON ({error})", fix) from error
