"""Rows that no message stands for: their client died between the two steps, or Redis lost the message.

A pending row is an orphan when it is older than the oldest message of its queue and priority, no worker holds it, and
the journal as of that moment is mirrored and still says nothing of it: queue, lease and journal are the only places a
job can be.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

from jobplatform.store import jobs
from jobplatform.store.database import Database, Transaction
from jobplatform.transport.census import journal_end, journal_start, leased_jobs, oldest_message

#: Workers give back about so many messages at once, to the head of a list.
_NEAR_HEAD = 200


class OrphanFinder:
    """Find pending rows without a message and make them due again.

    :param client: a Redis client.
    :param grace_seconds: a row is left alone for so long, as its client may be about to push its message.
    """

    name = "orphans"

    def __init__(self, database: Database, client: Any, grace_seconds: float, limit: int = 1_000) -> None:
        self.database = database
        self.client = client
        self.grace = timedelta(seconds=grace_seconds)
        self.limit = limit
        self.interval = grace_seconds / 5
        self._suspects: set[str] = set()
        self._journal_end = (0, 0)

    def run_once(self, now: datetime) -> Counter[str]:
        """Look for rows without a message; those found in two looks, with the journal caught up between, are lost."""
        counts: Counter[str] = Counter()
        start = journal_start(self.client) if self._suspects else None
        if start is not None and start <= self._journal_end:
            return counts
        found = self._look(now)
        lost = sorted(found & self._suspects)
        with self.database.transaction() as transaction:
            counts["orphans"] = jobs.mark_orphans_due(transaction, lost, now, now - self.grace)
        self._suspects = found.difference(lost)
        self._journal_end = journal_end(self.client) if self._suspects else (0, 0)
        return +counts

    def _look(self, now: datetime) -> set[str]:
        suspects: set[str] = set()
        with self.database.transaction() as transaction:
            for queue, priority in jobs.waiting_queues(transaction):
                # The closer look costs more, and seldom follows.
                if self._overdue(transaction, queue, priority, now, among=1):
                    suspects.update(self._overdue(transaction, queue, priority, now, among=_NEAR_HEAD))
        return suspects - leased_jobs(self.client) if suspects else suspects

    def _overdue(self, transaction: Transaction, queue: str, priority: int, now: datetime, among: int) -> list[str]:
        oldest = oldest_message(self.client, queue, priority, among)
        if oldest is None:
            return []
        before = now - self.grace
        if oldest < before.timestamp():
            before = datetime.fromtimestamp(oldest, UTC)
        return [job_id for job_id, _ in jobs.overdue(transaction, queue, priority, before, self.limit)]
