"""What the counts of a batch say: how far it is, how long it still takes, and which of its events have come; pure."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

#: The rate of a batch is that of about so many seconds.
_MEMORY_SECONDS = 30.0


class Event(StrEnum):
    """What calls back, each once in the life of a batch."""

    FAILURE = "failure"
    SUCCESS = "success"
    COMPLETE = "complete"
    EXHAUSTED = "exhausted"


class BatchState(StrEnum):
    """Where a batch stands: jobs may be added, it only waits for those that are in it, all of them have ended."""

    OPEN = "open"
    CLOSED = "closed"
    FINISHED = "finished"


class Change(NamedTuple):
    """By how much the counts of a batch change.

    :param failing: whether a job of it has failed, even if it runs once more by now.
    """

    added: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    failing: bool = False


@dataclass(frozen=True, slots=True)
class Tally:
    """The counts of a batch.

    :param rate: jobs that ended a second, of late, when ``rated_at`` was; None before two changes were seen.
    """

    batch_id: str
    name: str
    created_at: datetime
    total: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    closed_at: datetime | None = None
    cancelled_at: datetime | None = None
    failure_at: datetime | None = None
    success_at: datetime | None = None
    complete_at: datetime | None = None
    exhausted_at: datetime | None = None
    began_at: datetime | None = None
    rated_at: datetime | None = None
    rate: float | None = None

    @property
    def ended(self) -> int:
        """The jobs that have ended."""
        return self.completed + self.failed + self.cancelled

    @property
    def state(self) -> BatchState:
        """Where the batch stands; one that has finished is closed again while a job of it runs once more."""
        if self.closed_at is None:
            return BatchState.OPEN
        return BatchState.FINISHED if self.ended >= self.total else BatchState.CLOSED

    @property
    def percent(self) -> float:
        """How much of what was added has ended, from 0 to 100."""
        if not self.total:
            return 100.0 if self.state is BatchState.FINISHED else 0.0
        return 100.0 * self.ended / self.total

    def changed(self, change: Change, now: datetime) -> Tally:
        """Give the counts after a change."""
        after = replace(
            self,
            total=self.total + change.added,
            completed=self.completed + change.completed,
            failed=self.failed + change.failed,
            cancelled=self.cancelled + change.cancelled,
        )
        ends = after.ended - self.ended
        if ends <= 0:
            return after
        if self.began_at is None:
            return replace(after, began_at=now, rated_at=now)
        return replace(after, rate=self.rate_at(now, ends), rated_at=now)

    def rate_at(self, now: datetime, ends: int = 0) -> float | None:
        """Give the jobs that end a second: their mean at first, and later that of about the last half minute.

        :param ends: jobs that have ended since ``rated_at``.
        """
        if self.rated_at is None or self.began_at is None:
            return None
        passed = max((now - self.rated_at).total_seconds(), 0.001)
        since = max((now - self.began_at).total_seconds(), passed)
        weight = max(1.0 - math.exp(-passed / _MEMORY_SECONDS), passed / since)
        if self.rate is None:
            return ends / passed if ends else None
        if not ends and now <= self.rated_at:
            return self.rate
        return self.rate + weight * (ends / passed - self.rate)

    def eta(self, now: datetime) -> float | None:
        """Give the seconds that what is in it still takes at this rate, None when nobody can tell."""
        if self.ended >= self.total:
            return 0.0 if self.total else None
        rate = self.rate_at(now)
        return (self.total - self.ended) / rate if rate else None

    def due(self, failing: bool = False) -> list[Event]:
        """List the events that have come and were not noted, in the order in which they call back.

        :param failing: whether a job has failed, even if it runs once more by now.
        """
        over = self.state is BatchState.FINISHED
        come = (
            (Event.FAILURE, self.failure_at, failing or self.failed > 0),
            (Event.SUCCESS, self.success_at, over and self.completed == self.total),
            (Event.COMPLETE, self.complete_at, over),
            (Event.EXHAUSTED, self.exhausted_at, over and self.failed > 0),
        )
        return [event for event, noted_at, has_come in come if has_come and noted_at is None]

    def noted(self, events: Collection[Event], now: datetime) -> Tally:
        """Give the tally of a batch whose events were called back."""
        noted: dict[str, Any] = {f"{event}_at": now for event in events}
        return replace(self, **noted)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a batch is.

    :param percent: of what was added, how much has ended.
    :param eta: seconds, None when nobody can tell.
    """

    batch_id: str
    name: str
    state: BatchState
    total: int
    completed: int
    failed: int
    cancelled: int
    running: int
    waiting: int
    percent: float
    eta: float | None


def progress_of(tally: Tally, running: int, now: datetime) -> Progress:
    """Tell how far a batch is.

    :param running: its jobs that run.
    """
    return Progress(
        tally.batch_id, tally.name, tally.state, tally.total, tally.completed, tally.failed, tally.cancelled,
        running, max(0, tally.total - tally.ended - running), tally.percent, tally.eta(now),
    )  # fmt: skip
