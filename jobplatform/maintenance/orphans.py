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
from jobplatform.store.database import Database
from jobplatform.transport.census import journal_end, journal_start, leased_jobs, oldest_message


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
        self._suspects: list[str] = []
        self._journal_end = (0, 0)

    def run_once(self, now: datetime) -> Counter[str]:
        """Confirm the suspects of an earlier round once the journal has caught up, then look for new ones."""
        counts: Counter[str] = Counter()
        if self._suspects:
            start = journal_start(self.client)
            if start is not None and start <= self._journal_end:
                return counts
            leased = leased_jobs(self.client)
            with self.database.transaction() as transaction:
                lost = [job_id for job_id in self._suspects if job_id not in leased]
                counts["orphans"] = jobs.mark_orphans_due(transaction, lost, now, now - self.grace)
            self._suspects = []
        self._suspects = self._look(now)
        self._journal_end = journal_end(self.client) if self._suspects else (0, 0)
        return +counts

    def _look(self, now: datetime) -> list[str]:
        suspects: list[str] = []
        with self.database.transaction() as transaction:
            for queue, priority in jobs.waiting_queues(transaction):
                oldest = oldest_message(self.client, queue, priority)
                if oldest is None:
                    continue
                before = now - self.grace
                if oldest < before.timestamp():
                    before = datetime.fromtimestamp(oldest, UTC)
                found = jobs.overdue(transaction, queue, priority, before, self.limit)
                suspects += [job_id for job_id, _ in found]
        if not suspects:
            return []
        leased = leased_jobs(self.client)
        return [job_id for job_id in suspects if job_id not in leased]
