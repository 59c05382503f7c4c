"""What the code of attempts has logged."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, NamedTuple

from jobplatform.actions.action import action
from jobplatform.actions.actor import Actor
from jobplatform.actions.desk import Desk
from jobplatform.actions.jobs import visible
from jobplatform.actions.permission import Permission
from jobplatform.masking import mask_text
from jobplatform.store import attempt_logs
from jobplatform.store.shapes.attempt import AttemptLog

Row = Mapping[str, Any]

#: Characters of each log that are shown together, and how many logs.
_LOG_END, _LOGS = 16_000, 20


class Log(NamedTuple):
    """The last lines of what the code of an attempt has logged.

    :param cut: lines before them that are left out, here or when they were kept.
    """

    attempt: int
    logged_at: datetime
    text: str
    cut: int


@action("jobs.logs", Permission.JOBS_PAYLOAD)
def read(desk: Desk, actor: Actor, job_id: str, attempt: int | None = None) -> Annotated[Row, AttemptLog] | None:
    """Give what the code of an attempt has logged: of the last that has a log, unless one is named; None without."""
    with desk.look() as session:
        visible(session, actor, job_id)
        found = attempt_logs.read(session, job_id, attempt)
    return None if found is None else {**found, "text": mask_text(found["text"])}


@action("jobs.log_ends", Permission.JOBS_PAYLOAD)
def ends(desk: Desk, actor: Actor, job_id: str) -> list[Log]:
    """Give the last lines that the code of each of the newest attempts has logged, and how many before were cut."""
    with desk.look() as session:
        visible(session, actor, job_id)
        found = attempt_logs.ends(session, job_id, _LOG_END, _LOGS)
    return [_shown(row) for row in found]


def _shown(row: Row) -> Log:
    text, cut = row["text"], row["cut"]
    if row["shortened"] and "\n" in text:
        # A line that is not whole is none that secrets can be found in.
        text, cut = text.partition("\n")[2], cut + 1
    return Log(row["attempt"], row["logged_at"], mask_text(text), cut)
