"""The documentation page of the settings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import Field, fields
from typing import Any

from jobplatform.secrecy.keyring import KeyRing
from jobplatform.settings.settings import PARTS

_HEAD = """\
# Settings

Generated from `jobplatform/settings/` by `python -m jobplatform.settings`; a test compares the two.
Every process reads them once, from the environment."""


def page() -> str:
    """Write the page."""
    return "\n".join([_HEAD, *(line for part in PARTS for line in _section(part))]) + "\n"


def _section(part: type[Any]) -> Iterator[str]:
    yield from (
        "",
        f"## {part.__name__}",
        "",
        str(part.__doc__),
        "",
        "| variable | default | meaning |",
        "|---|---|---|",
    )
    yield from map(_row, fields(part))


def _row(item: Field[Any]) -> str:
    default = ",".join(item.default) if isinstance(item.default, tuple) else item.default
    shown = "" if isinstance(default, KeyRing) or default == "" else f"`{default}`"
    return f"| `{item.metadata['env']}` | {shown} | {item.metadata['meaning']} |"
