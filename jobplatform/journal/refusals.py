"""Messages that this worker can make no job of: their ends are journalled as well."""

from __future__ import annotations

import os
import time
from typing import Any

from jobplatform.journal import entry
from jobplatform.journal.entry import Kind
from jobplatform.journal.failure import describe_text
from jobplatform.journal.foreign import foreign_row
from jobplatform.journal.recorder import ATTEMPT_HEADER, sink_of
from jobplatform.records import job_id_of

#: What is said of messages that no code was run for, and that never can be.
_UNSTARTED = {"final": True, "unstarted": True}


def on_unknown(message: Any = None, name: str = "", id: str = "", **_: Any) -> None:
    """Journal a message whose job type this worker does not know, as a failed attempt (``task_unknown``)."""
    headers = message.headers or {}
    row = "" if ATTEMPT_HEADER in headers else foreign_row(None, message)
    attempt = headers.get(ATTEMPT_HEADER) or int(headers.get("retries") or 0) + 1
    head = entry.attempt_head(job_id_of(str(id)), attempt, "", os.getpid(), None, row)
    error = {**describe_text("NotRegistered", f"no worker module defines the job type {name!r}"), **_UNSTARTED}
    sink_of(message).note(entry.ended(Kind.FAILED, head, None, time.time(), error))


def on_rejected(message: Any = None, exc: BaseException | None = None, **_: Any) -> None:
    """Journal a message that cannot be read (``task_rejected``); the row that it names, if any, fails."""
    headers = message.headers if isinstance(message.headers, dict) else {}
    error = {**describe_text("InvalidMessage", str(exc or "unknown message format")), **_UNSTARTED}
    if isinstance(headers.get("id"), str) and ATTEMPT_HEADER in headers:
        head = entry.attempt_head(job_id_of(headers["id"]), headers[ATTEMPT_HEADER], "", os.getpid(), None, "")
        sink_of(message).note(entry.ended(Kind.FAILED, head, None, time.time(), error))
    else:
        sink_of(message).note(entry.unreadable("", repr(message.body).encode(), error["message"]))
