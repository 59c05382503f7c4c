"""What nothing could be made of, as statements give it."""

from __future__ import annotations

from datetime import datetime
from typing import TypedDict


class UnreadableListed(TypedDict):
    """A message or a journal entry of a list; ``complete`` says whether all of its bytes were kept."""

    quarantine_id: int
    kind: str
    queue: str | None
    size: int
    complete: bool
    job_id: str | None
    reason: str
    quarantined_at: datetime
    resolution: str | None
    resolved_at: datetime | None


class Unreadable(UnreadableListed):
    """A message or a journal entry with its bytes; null to who may not see payloads."""

    stream_id: str
    field: str
    entry: bytes | None


class UnreadableSettled(TypedDict):
    """What became of a message or a journal entry."""

    quarantine_id: int
    kind: str
    queue: str | None
    size: int
    outcome: str
