"""The newest decisions of each kind, a page at a time."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from jobplatform.store.database import Transaction
from jobplatform.store.statement import Statement

Row = Mapping[str, Any]

_NOW = datetime(2026, 1, 1, tzinfo=UTC)

# So many rows are looked at, however few of them are in scope, so that a page costs the same for everybody. The order
# of the numbers is that of the decisions, but for those that were written at once.
RECENT_RETRIES = Statement(
    "recent_retry_decisions",
    """
    select d.decision_id, d.decided_at, d.job_id::text, d.attempt, d.action, d.delay_seconds, d.reason, d.decided_by,
        d.outcome, d.waited_seconds, j.job_type, j.queue,
        (%(in_queues)s::text[] is null or j.queue = any(%(in_queues)s::text[]))
            and (%(in_tenants)s::text[] is null or j.tenant = any(%(in_tenants)s::text[]))
            and (%(job_type)s::text is null or j.job_type = %(job_type)s) as seen
    from (
        select * from @retry_decisions where decision_id < %(before)s order by decision_id desc limit %(limit)s
    ) d join @jobs j using (job_id) order by d.decision_id desc
    """,
    {"before": 2**62, "in_queues": None, "in_tenants": None, "job_type": None, "limit": 50},
)

RECENT_REPLACEMENTS = Statement(
    "recent_replacements",
    """
    select replacement_id, pool, worker_id, name, reason, asked_by, asked_at, successor, ready_at, drained_at, ended_at,
        outcome
    from @replacements where replacement_id < %(before)s order by replacement_id desc limit %(limit)s
    """,
    {"before": 2**62, "limit": 50},
)

# A breaker is kept as it is, and not as it was: it tells of its last change. There are few of them.
RECENT_BREAKERS = Statement(
    "recent_breakers",
    """
    select cause, state, reason, opened_at, closed_at, forced, forced_by, probes, job_types,
        coalesce(case when state = 'closed' then closed_at end, opened_at) as changed_at
    from @breakers
    where (coalesce(case when state = 'closed' then closed_at end, opened_at), cause) < (%(at)s, %(cause)s)
    order by 10 desc, cause desc limit %(limit)s
    """,
    {"at": _NOW, "cause": "", "limit": 50},
)


class Window(NamedTuple):
    """Decisions on retries that were looked at.

    :param rows: those that are in scope.
    :param last: the number of the last that was looked at, None when there was none.
    :param full: whether there may be more.
    """

    rows: Sequence[Row]
    last: int | None
    full: bool


def retries(
    transaction: Transaction,
    before: int,
    limit: int,
    queues: Collection[str] | None = None,
    tenants: Collection[str] | None = None,
    job_type: str | None = None,
) -> Window:
    """Look at the decisions on retries before one, the newest first.

    :param limit: so many are looked at.
    """
    scope = {"in_queues": _array(queues), "in_tenants": _array(tenants), "job_type": job_type}
    found = transaction.rows(RECENT_RETRIES, before=before, limit=limit, **scope)
    last = found[-1]["decision_id"] if found else None
    return Window([row for row in found if row["seen"]], last, len(found) == limit)


def replacements(transaction: Transaction, before: int, limit: int) -> Sequence[Row]:
    """List replacements before one, the newest first."""
    return transaction.rows(RECENT_REPLACEMENTS, before=before, limit=limit)


def breakers(transaction: Transaction, before: tuple[datetime, str], limit: int) -> Sequence[Row]:
    """List breakers by their last change before a time and a cause, the newest first."""
    return transaction.rows(RECENT_BREAKERS, at=before[0], cause=before[1], limit=limit)


def _array(values: Collection[str] | None) -> list[str] | None:
    return None if values is None else sorted(values)
