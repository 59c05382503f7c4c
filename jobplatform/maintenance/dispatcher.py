"""Due rows to queues: whatever should be in a queue and is not, for whatever reason."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

from jobplatform.records import DueJob
from jobplatform.store import jobs, results
from jobplatform.store.database import Database, Transaction
from jobplatform.transport import keys
from jobplatform.transport.message import Message
from jobplatform.transport.publisher import UNREACHABLE, MaybePushed

logger = logging.getLogger(__name__)


class Pusher(Protocol):
    """What pushes messages to the broker."""

    def has_room(self) -> bool: ...
    def push_many(self, messages: Iterable[Message], *, first: bool = False) -> int: ...
    def fence(self, attempts: Mapping[str, float]) -> None: ...


class Dispatcher:
    """Publish due jobs.

    Rows are claimed and committed before their messages are pushed: a dispatcher that dies in between leaves rows that
    no message stands for, which are found by that rule, while the other order could run a job twice. A job that may
    have a message already gets a fence, so that only the newest is handed out; a cancelled one, a fence above all; and
    one that is paused, a fence between the two.

    :param batch: rows claimed at once.
    :param interval: seconds between looks when nothing was due.
    :param again_after: seconds until Redis is told once more of a job that was cancelled or paused. A worker tells in
        that time what it holds, and Redis keeps on its disk what it was told.
    """

    name = "dispatcher"

    def __init__(
        self, database: Database, publisher: Pusher, batch: int, interval: float, again_after: float = 6.0
    ) -> None:
        self.database = database
        self.publisher = publisher
        self.batch = batch
        self.interval = interval
        self.again_after = timedelta(seconds=again_after)
        #: Whether due jobs are held back, as the broker fills up.
        self.holds = False

    def run_once(self, now: datetime) -> Counter[str]:
        """Publish one batch of due jobs, the most urgent first, and of those what was made first.

        Without room in the broker they stay due; only what was cancelled or paused is still told to Redis.
        """
        self._hold(not self.publisher.has_room())
        with self.database.transaction() as transaction:
            claimed = jobs.claim_due(transaction, now, self.batch, self.again_after, publish=not self.holds)
            self.publisher.fence({job.task_id: fence for job in claimed if (fence := fence_of(job)) is not None})
            due = self._with_inputs(transaction, [job for job in claimed if job.step == "publish"])
        ordered = sorted(due, key=lambda job: (-job.priority, job.job_id))
        before, others = ([job for job in ordered if job.first is first] for first in (True, False))
        self._push(before, others, now, first=True)
        self._push(others, [], now, first=False)
        told = Counter(job.step for job in claimed)
        return +Counter(published=len(due), voided=told["void"], held=told["hold"], released=told["unhold"])

    @staticmethod
    def _with_inputs(transaction: Transaction, due: Sequence[DueJob]) -> list[DueJob]:
        """Give jobs the results that they take of those that they have waited for."""
        wanted = {job_id for job in due if job.inputs for job_id in job.inputs.of}
        known = results.results_of(transaction, wanted) if wanted else {}
        return [replace(job, payload=job.inputs.fill(job.payload, known)) if job.inputs else job for job in due]

    def _hold(self, holds: bool) -> None:
        if holds and not self.holds:
            logger.warning("Redis is filling up: due jobs wait in their rows until the queues have drained")
        elif self.holds and not holds:
            logger.info("Redis has room again: due jobs are published")
        self.holds = holds

    def _push(self, due: Sequence[DueJob], rest: Sequence[DueJob], now: datetime, first: bool) -> None:
        try:
            self.publisher.push_many([message_of(job, now.timestamp()) for job in due], first=first)
        except MaybePushed:
            logger.warning("Redis may not have taken %d due jobs; they are looked for", len(due))
            self._return(rest)
            raise
        except UNREACHABLE:
            self._return([*due, *rest])
            raise

    def _return(self, due: Sequence[DueJob]) -> None:
        if not due:
            return
        logger.warning("Redis did not take %d due jobs; they stay due", len(due))
        with self.database.transaction() as transaction:
            jobs.mark_due(transaction, [job.job_id for job in due], again=True)


def fence_of(job: DueJob) -> float | None:
    """Give the lowest attempt whose messages count, None when there is no other message of the job."""
    if job.step == "publish":
        return job.attempt if job.again else None
    return job.attempt + {"void": keys.VOID, "hold": keys.HELD, "unhold": 0.0}[job.step]


def message_of(job: DueJob, now: float) -> Message:
    """Give the message of a job that is due.

    :param now: seconds since the epoch.
    """
    return Message(
        job.job_id, job.job_type, json.dumps(job.payload), job.queue, job.priority, now, job.attempt, job.retry_count,
        job.root_id, job.parent_id, job.expires_at.timestamp() if job.expires_at else None, job.timeout,
        job.soft_timeout, job.tenant, job.limit_key, job.units, job.message,
        job.deadline_at.timestamp() if job.deadline_at else None, job.trial,
    )  # fmt: skip
