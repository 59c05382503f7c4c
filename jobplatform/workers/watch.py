"""The last samples of every worker, taken from heartbeats."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from jobplatform.transport import census
from jobplatform.workers.sample import Sample, Worker, sample_of, worker_of

#: Every heartbeat of the last minutes is kept, and one of each half minute before, for so long.
_ALL_SECONDS, _APART_SECONDS, _KEPT_SECONDS = 180.0, 30.0, 7_200.0
#: When nobody has looked for so many heartbeats, what was silent meanwhile may have said something.
_MISSED_BEATS = 3


@dataclass(frozen=True, slots=True)
class Watched:
    """A worker and its samples, oldest first.

    :param gone: whether it has said goodbye.
    """

    worker: Worker
    samples: list[Sample]
    gone: bool


class History:
    """The samples of one worker, the older ones further apart."""

    def __init__(self) -> None:
        self._recent: deque[Sample] = deque()
        self._older: deque[Sample] = deque()

    @property
    def last_at(self) -> float:
        """When the last sample was taken."""
        return self._recent[-1].at if self._recent else 0.0

    def add(self, sample: Sample) -> None:
        """Take a sample in that is newer than all others."""
        self._recent.append(sample)
        while self._recent[0].at < sample.at - _ALL_SECONDS:
            aged = self._recent.popleft()
            if not self._older or aged.at - self._older[-1].at >= _APART_SECONDS:
                self._older.append(aged)
        while self._older and self._older[0].at < sample.at - _KEPT_SECONDS:
            self._older.popleft()

    def prime(self, samples: Iterable[Sample]) -> None:
        """Put samples before those that are there."""
        first = min((part[0].at for part in (self._older, self._recent) if part), default=float("inf"))
        self._older.extendleft(reversed([sample for sample in samples if sample.at < first - _APART_SECONDS / 2]))

    def list(self) -> list[Sample]:
        """Give all samples, oldest first."""
        return [*self._older, *self._recent]


class Watch:
    """Hear the heartbeats of all workers; several threads may look.

    :param client: a Redis client.
    :param beat_seconds: between two heartbeats of a worker.
    """

    def __init__(self, client: Any, beat_seconds: float) -> None:
        self.client = client
        self.beat_seconds = beat_seconds
        #: Since when nothing was missed, by the clock of Redis.
        self.heard_since = float("-inf")
        self._looked_at = float("-inf")
        self._histories: dict[str, History] = {}
        self._last: dict[str, tuple[Worker, bool]] = {}
        self._lock = threading.Lock()

    def look(self) -> float:
        """Hear what was said since the last look; returns the time, by the clock of Redis."""
        with self._lock:
            clock = census.clock(self.client)
            found = census.heartbeats(self.client)
            if clock - self._looked_at > _MISSED_BEATS * self.beat_seconds:
                self.heard_since = clock
            self._looked_at = clock
            for node, said in found.items():
                self._hear(node, said.at, said.report)
            for node in self._histories.keys() - found.keys():
                del self._histories[node], self._last[node]
            return clock

    def prime(self, node: str, samples: Iterable[Sample]) -> None:
        """Let earlier samples of a worker be known."""
        with self._lock:
            if node in self._histories:
                self._histories[node].prime(samples)

    def workers(self) -> dict[str, Watched]:
        """Give all workers that Redis knows, by node."""
        with self._lock:
            return {
                node: Watched(worker, self._histories[node].list(), gone) for node, (worker, gone) in self._last.items()
            }

    def _hear(self, node: str, at: float, report: Mapping[str, Any]) -> None:
        history = self._histories.setdefault(node, History())
        if at <= history.last_at:
            return
        gone = bool(report.get("gone"))
        self._last[node] = worker_of(node, report), gone
        history.add(sample_of(at, report))
