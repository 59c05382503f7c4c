"""A row of the audit log, as statements give it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypedDict


class Deed(TypedDict):
    """What somebody did, or was refused."""

    audit_id: int
    at: datetime
    actor: str
    via: str
    address: str | None
    action: str
    about: dict[str, Any]
    outcome: dict[str, Any]
    reason: str | None
    hash: str
