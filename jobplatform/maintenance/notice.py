"""What people are told of an alert, as JSON for programs and as a mail."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Notice:
    """That an alert was opened, is still open, or is over.

    :param notice_id: the same each time when it is sent again, so that who gets it can tell.
    :param event: ``opened``, ``repeated``, ``resolved``, or ``test``.
    """

    notice_id: int
    event: str
    condition: str
    subject: str
    message: str
    at: datetime
    opened_at: datetime
    closed_at: datetime | None = None

    def body(self) -> bytes:
        """Write it for a program."""
        return json.dumps(
            {
                "version": 1,
                "id": self.notice_id,
                "event": self.event,
                "condition": self.condition,
                "subject": self.subject,
                "message": self.message,
                "at": self.at.isoformat(),
                "opened_at": self.opened_at.isoformat(),
                "closed_at": self.closed_at.isoformat() if self.closed_at else None,
            }
        ).encode()

    def title(self) -> str:
        """Write it as one line, in which nothing can begin another."""
        words = f"[jobplatform] {self.event}: {self.condition}{f' ({self.subject})' if self.subject else ''}"
        return "".join(part if part.isprintable() else " " for part in words)[:200]

    def text(self) -> str:
        """Write it for people."""
        lines = [self.message, "", f"{self.event} {self.at:%Y-%m-%d %H:%M:%S} UTC"]
        return "\n".join([*lines, f"open since {self.opened_at:%Y-%m-%d %H:%M:%S} UTC", ""])


def notice_of(row: Mapping[str, Any], now: datetime) -> Notice:
    """Make the notice of a row that waits to be sent."""
    values = {name: row[name] for name in ("notice_id", "event", "condition", "subject", "message", "opened_at")}
    return Notice(**values, at=now, closed_at=row["closed_at"] if row["event"] == "resolved" else None)
