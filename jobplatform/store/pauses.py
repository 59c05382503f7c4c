"""The rows of ``pauses``: queues whose messages are not handed out, and job types whose jobs are parked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from jobplatform.store.database import Transaction
from jobplatform.store.statement import Statement

_NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Scope(StrEnum):
    """What a pause is about."""

    QUEUE = "queue"
    TYPE = "type"


@dataclass(frozen=True, slots=True)
class Hold:
    """Why something is held, who holds it, and until when; None is until somebody resumes it."""

    reason: str
    by: str
    until: datetime | None = None


PUT_PAUSE = Statement(
    "put_pause",
    """
    insert into @pauses (scope, name, reason, paused_by, paused_until)
    values (%(scope)s, %(name)s, %(reason)s, %(paused_by)s, %(paused_until)s)
    on conflict (scope, name) do update
    set reason = excluded.reason, paused_by = excluded.paused_by, paused_until = excluded.paused_until
    """,
    {"scope": "queue", "name": "celery", "reason": "", "paused_by": "", "paused_until": _NOW},
)

DROP_PAUSES = Statement(
    "drop_pauses",
    "delete from @pauses where scope = %(scope)s and name = any(%(names)s) returning name",
    {"scope": "queue", "names": ["celery"]},
)

DROP_ENDED_PAUSES = Statement(
    "drop_ended_pauses",
    "delete from @pauses where paused_until <= now() returning scope, name",
    {},
)

LIST_PAUSES = Statement(
    "list_pauses",
    "select scope, name, reason, paused_by, paused_at, paused_until from @pauses order by scope, name",
    {},
)


def pause(transaction: Transaction, scope: Scope, name: str, hold: Hold) -> None:
    """Pause a queue or a job type; one that is paused already gets this reason and end."""
    transaction.count(
        PUT_PAUSE,
        scope=str(scope),
        name=name,
        reason=hold.reason,
        paused_by=hold.by,
        paused_until=hold.until,
    )


def resume(transaction: Transaction, scope: Scope, names: Sequence[str]) -> list[str]:
    """Resume queues or job types; names those that were paused."""
    return [row["name"] for row in transaction.rows(DROP_PAUSES, scope=str(scope), names=list(names))]


def end_due(transaction: Transaction) -> list[tuple[Scope, str]]:
    """Resume what was paused until a time that has come; names it."""
    return [(Scope(row["scope"]), row["name"]) for row in transaction.rows(DROP_ENDED_PAUSES)]


def list_pauses(transaction: Transaction) -> Sequence[Mapping[str, Any]]:
    """List what is paused."""
    return transaction.rows(LIST_PAUSES)
