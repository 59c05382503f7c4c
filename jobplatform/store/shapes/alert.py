"""An alert and what nobody is told of, as statements give them."""

from __future__ import annotations

from datetime import datetime
from typing import TypedDict


class Alert(TypedDict):
    """What is wrong, or was; how many were told of it, and why somebody could not be."""

    alert_id: int
    condition: str
    subject: str
    state: str
    message: str
    opened_at: datetime
    closed_at: datetime | None
    told_at: datetime | None
    muted: bool
    sent: int
    problem: str | None


class Mute(TypedDict):
    """A condition that nobody is told of, of one subject or (empty) of all."""

    condition: str
    subject: str
    muted_until: datetime | None
    muted_by: str
    reason: str | None
