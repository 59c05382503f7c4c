"""A job type, as statements give it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypedDict


class JobTypeListed(TypedDict):
    """A job type of a list; ``checked`` says whether there is a schema of its arguments."""

    name: str
    queue: str | None
    words: str
    checked: bool
    options: dict[str, Any]
    tool: bool
    changed_at: datetime


class JobType(TypedDict):
    """A job type, with the JSON Schema of its arguments."""

    name: str
    queue: str | None
    words: str
    schema: dict[str, Any] | None
    positional: list[str]
    options: dict[str, Any]
    tool: bool
    changed_at: datetime
