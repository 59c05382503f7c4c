"""What the conditions of alerts look at, read from the tables at little cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from jobplatform.store.database import Transaction
from jobplatform.store.statement import Statement

Row = Mapping[str, Any]

_NOW = datetime(2026, 1, 1, tzinfo=UTC)

COUNT_LETTERS = Statement(
    "count_new_letters",
    """
    select count(*)::int as letters from (
        select from @dead_letter_jobs where failed_at > %(after)s order by failed_at desc limit 100000) found
    """,
    {"after": _NOW},
)

LATEST_SAMPLES = Statement(
    "latest_queue_samples",
    """
    select distinct on (queue) queue, depth, coalesce(oldest_seconds, 0)::float8 as seconds
    from @queue_samples where sampled_at > %(after)s order by queue, sampled_at desc
    """,
    {"after": _NOW},
)

LOST_WORKERS = Statement(
    "lost_workers",
    """
    select w.name, extract(epoch from %(now)s - max(w.last_seen_at))::float8 as seconds from @workers w
    where w.status = 'stale' and w.last_seen_at > %(after)s
        and not exists (select from @workers o where o.name = w.name and o.last_seen_at > w.last_seen_at)
    group by w.name order by w.name
    """,
    {"now": _NOW, "after": _NOW},
)

COUNT_ALIVE = Statement("count_alive", "select count(*)::int as workers from @workers where status = 'alive'", {})

MISSED_SCHEDULES = Statement(
    "missed_schedules",
    """
    select name, extract(epoch from %(now)s - next_run)::float8 as seconds from @job_schedules
    where enabled and next_run < %(before)s and hold_by is null order by next_run limit 100
    """,
    {"now": _NOW, "before": _NOW},
)

OPEN_BREAKERS = Statement(
    "open_breakers", "select cause, reason from @breakers where state <> 'closed' order by cause limit 100", {}
)

RECENT_DECISIONS = Statement(
    "recent_decisions",
    """
    select count(*)::int as decided, count(*) filter (where decided_by = %(rule)s)::int as by_rule from (
        select decided_by, decided_at from @retry_decisions order by decision_id desc limit 1000
    ) latest
    where decided_at > %(after)s and exists (select from @models where kind = 'retry' and state = 'active')
    """,
    {"after": _NOW, "rule": "static"},
)


def letters(transaction: Transaction, after: datetime) -> int:
    """Count the jobs that were given up after a time, whatever became of them."""
    return int(transaction.rows(COUNT_LETTERS, after=after)[0]["letters"])


def queues(transaction: Transaction, now: datetime, within: timedelta) -> Sequence[Row]:
    """Give the last sample of each queue: how much waits, and for how many seconds the oldest has."""
    return transaction.rows(LATEST_SAMPLES, after=now - within)


def lost(transaction: Transaction, now: datetime) -> Sequence[Row]:
    """List workers that are silent, and whose name no later one has; those of the last day."""
    return transaction.rows(LOST_WORKERS, now=now, after=now - timedelta(days=1))


def alive(transaction: Transaction) -> int:
    """Count the workers that live."""
    return int(transaction.rows(COUNT_ALIVE)[0]["workers"])


def missed(transaction: Transaction, now: datetime) -> Sequence[Row]:
    """List schedules that should have fired and have not, the latest first."""
    return transaction.rows(MISSED_SCHEDULES, now=now, before=now)


def breakers(transaction: Transaction) -> Sequence[Row]:
    """List the breakers that hold jobs."""
    return transaction.rows(OPEN_BREAKERS)


def decisions(transaction: Transaction, after: datetime) -> tuple[int, int]:
    """Count retries that were decided after a time, and those by the rule; none where no model is active."""
    (row,) = transaction.rows(RECENT_DECISIONS, after=after, rule="static")
    return row["decided"], row["by_rule"]
