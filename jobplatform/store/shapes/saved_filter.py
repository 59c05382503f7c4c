"""A filter that is kept, as statements give it."""

from __future__ import annotations

from datetime import datetime
from typing import TypedDict


class SavedFilter(TypedDict):
    """A filter that somebody keeps."""

    name: str
    filter: str
    columns: list[str]
    saved_at: datetime
