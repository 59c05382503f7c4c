"""Rows that nothing in Redis stands for: their client died between the two steps, or Redis lost what it held.

A pending row is an orphan when it is older than the oldest message of its queue and priority and no worker holds it; a
running one, when no worker holds it or has given it back. It must be so in two looks. Between them every worker that
lives has told what it holds, and has written again what Redis lost of its news; and after that the journal has been
mirrored: queue, lease and journal are the only places a job can be.
"""

from __future__ import annotations

import itertools
import logging
from collections import Counter
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from jobplatform.journal import entry
from jobplatform.maintenance.told import have_all_told
from jobplatform.store import orphans
from jobplatform.store.database import Database, Transaction
from jobplatform.transport import census, keys

logger = logging.getLogger(__name__)

#: Workers give back about so many messages at once, to the head of a list.
_NEAR_HEAD = 200
#: Row and message of a job may differ by so much in when it was enqueued, as each rounds the time in its own way.
_ROUNDING_SECONDS = 0.001
#: Rows marked in one transaction.
_CHUNK = 1_000


class Waiting(NamedTuple):
    """What a pending row says: how urgent it is, and when it was published last."""

    priority: int
    enqueued_at: datetime


@dataclass(frozen=True, slots=True)
class Look:
    """What one look found: pending rows by id, the most urgent first, and running ones; and when it was.

    ``at`` is in seconds of the clock of Redis.
    """

    at: float = 0.0
    waiting: Mapping[str, Waiting] = field(default_factory=dict)
    running: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def confirm(self, earlier: Look) -> Look:
        """Keep what an earlier look had found as well; a row that was published since then is another finding."""
        waiting = {job_id: row for job_id, row in self.waiting.items() if earlier.waiting.get(job_id) == row}
        running = {
            job_id: row
            for job_id, row in self.running.items()
            if job_id in earlier.running and earlier.running[job_id]["attempt"] == row["attempt"]
        }
        return Look(self.at, waiting, running)

    def without(self, job_ids: Container[str]) -> Look:
        """Leave out some jobs."""
        waiting = {job_id: row for job_id, row in self.waiting.items() if job_id not in job_ids}
        running = {job_id: row for job_id, row in self.running.items() if job_id not in job_ids}
        return Look(self.at, waiting, running)

    def chunks(self) -> Iterator[list[str]]:
        """Cut the pending ones into pieces of one priority each, the most urgent first."""

        def priority(job_id: str) -> int:
            return self.waiting[job_id].priority

        for _, same in itertools.groupby(sorted(self.waiting, key=priority, reverse=True), key=priority):
            job_ids = list(same)
            yield from (job_ids[start : start + _CHUNK] for start in range(0, len(job_ids), _CHUNK))

    def __bool__(self) -> bool:
        return bool(self.waiting or self.running)


class OrphanFinder:
    """Make orphaned pending rows due again, the most urgent first, and journal orphaned running ones as lost.

    :param client: a Redis client.
    :param grace_seconds: a row is left alone for so long, as its client may be about to push its message; but not when
        Redis was emptied.
    :param limit: rows of a queue and priority that one look finds.
    """

    name = "orphans"

    def __init__(self, database: Database, client: Any, grace_seconds: float, limit: int = 100_000) -> None:
        self.database = database
        self.client = client
        self.grace = timedelta(seconds=grace_seconds)
        self.limit = limit
        self.interval = grace_seconds / 5
        self._suspected = Look()
        #: The last entry of the journal when every worker had told what it holds.
        self._told: tuple[int, int] | None = None

    def run_once(self, now: datetime) -> Counter[str]:
        """Look for orphans, and put right what two looks have found."""
        if self._suspected and not self._all_is_told(self._suspected.at):
            return Counter()
        emptied = not self.client.exists(keys.CANARY)
        found = self._look(now, timedelta() if emptied else self.grace)
        orphaned = found.confirm(self._suspected)
        self._suspected, self._told = found.without({*orphaned.waiting, *orphaned.running}), None
        counts = Counter(orphans=self._publish(orphaned, now), abandoned=self._journal(orphaned, now))
        if emptied and not found.waiting:
            self.client.set(keys.CANARY, now.isoformat())
        elif emptied:
            logger.warning("Redis was emptied; %d rows wait to be queued again", len(found.waiting))
        return +counts

    def _all_is_told(self, since: float) -> bool:
        """Tell whether all workers have told what they hold and did until a time, and the journal is mirrored."""
        if not have_all_told(self.database, self.client, since):
            # Or not any more: a Redis that was emptied once more has forgotten what they told.
            self._told = None
            return False
        if self._told is None:
            self._told = census.journal_end(self.client)
        start = census.journal_start(self.client)
        return start is None or start > self._told

    def _look(self, now: datetime, grace: timedelta) -> Look:
        at = census.clock(self.client)
        # What ends while the rows are read is in this one; what begins, in the one below.
        held = self._held() if self._suspected else set()
        with self.database.transaction() as transaction:
            waiting = {
                job_id: Waiting(priority, enqueued_at)
                for queue, priority in sorted(orphans.waiting_queues(transaction), key=lambda pair: -pair[1])
                for job_id, enqueued_at in self._overdue(transaction, queue, priority, now - grace).items()
            }
            running = {row["job_id"]: row for row in orphans.running(transaction, now - self.grace, self.limit)}
        if waiting or running:
            held |= self._held()
        found = Look(at, waiting, running).without(held)
        return found.without(self._given_back(found.running))

    def _held(self) -> set[str]:
        return census.leased_jobs(self.client) | census.begun_jobs(self.client)

    def _given_back(self, running: Mapping[str, Mapping[str, Any]]) -> set[str]:
        """Name jobs whose worker ended while it ran them, and gave them back to the heads of their lists."""
        lists = {(row["queue"], row["priority"]) for row in running.values()}
        near = {job_id for found in lists for job_id in census.jobs_near_head(self.client, *found, _NEAR_HEAD)}
        return near & running.keys()

    def _overdue(self, transaction: Transaction, queue: str, priority: int, before: datetime) -> dict[str, datetime]:
        # The closer look costs more, and seldom follows.
        for among, limit in ((1, 1), (_NEAR_HEAD, self.limit)):
            oldest = census.oldest_message(self.client, queue, priority, among)
            if oldest is None:
                return {}
            if oldest < before.timestamp():
                before = datetime.fromtimestamp(oldest - _ROUNDING_SECONDS, UTC)
            found = orphans.overdue(transaction, queue, priority, before, limit)
            if not found:
                return {}
        return found

    def _publish(self, orphaned: Look, now: datetime) -> int:
        count = 0
        for number, job_ids in enumerate(orphaned.chunks()):
            # A little later each, so that they are published in this order.
            due = now + timedelta(microseconds=number)
            with self.database.transaction() as transaction:
                count += orphans.mark_due(transaction, job_ids, due, now)
        return count

    def _journal(self, orphaned: Look, now: datetime) -> int:
        for job_id, row in orphaned.running.items():
            text = entry.lost(job_id, row["attempt"], row["worker_id"], row["started_at"], now.timestamp())
            self.client.xadd(keys.JOURNAL, {"e1": text})
        return len(orphaned.running)
