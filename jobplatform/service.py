"""The one loop that every long-running part has: run once, wait, stop."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

logger = logging.getLogger(__name__)


class Service(Protocol):
    """A part of the controller that does a bounded piece of work when asked."""

    name: str
    interval: float

    def run_once(self, now: datetime) -> Counter[str]:
        """Do one round and return what was done; an empty count means there was nothing to do."""
        ...


class Loop:
    """Run a service until it is told to stop.

    :param service: what to run.
    :param stop: set from outside, before a last ring, to end the loop.
    :param allowed: asked before each round; a loop that is not allowed waits.
    :param on_counts: told what each round did.
    """

    def __init__(
        self,
        service: Service,
        stop: threading.Event,
        allowed: Callable[[], bool] = lambda: True,
        on_counts: Callable[[str, Counter[str]], None] = lambda name, counts: None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.service = service
        self.stop = stop
        self.allowed = allowed
        self.on_counts = on_counts
        self.clock = clock
        self.failures = 0
        #: Rounds that were begun, those that went wrong, and the seconds that all of them took.
        self.rounds, self.failed_rounds, self.seconds = 0, 0, 0.0
        #: When the round that is under way began, by the monotonic clock.
        self.began_at: float | None = None
        self._bell = threading.Event()

    def ring(self) -> None:
        """Let the next round begin now."""
        self._bell.set()

    def run(self) -> None:
        """Run rounds until the stop event is set; a failing round is logged, counted and tried again later."""
        while not self.stop.is_set():
            if not self.allowed():
                self._rest(min(self.service.interval, 0.5) or 0.5)
                continue
            self._rest(self.pause_after(self.round()))

    def _rest(self, seconds: float) -> None:
        self._bell.wait(seconds)
        self._bell.clear()

    def round(self) -> Counter[str]:
        """Do one round; what it raises becomes a count and a log line."""
        self.rounds += 1
        began = self.began_at = time.monotonic()
        try:
            return self._round()
        finally:
            self.began_at = None
            self.seconds += time.monotonic() - began

    def _round(self) -> Counter[str]:
        try:
            counts = self.service.run_once(self.clock())
        except Exception as error:  # noqa: BLE001 - a service must outlive any fault of the stores
            self.failures += 1
            self.failed_rounds += 1
            log = logger.exception if self.failures == 1 else logger.warning
            log("%s: round failed (%d in a row): %s", self.service.name, self.failures, error)
            counts = Counter(failed_rounds=1)
        else:
            self.failures = 0
        self.on_counts(self.service.name, counts)
        return counts

    def pause_after(self, counts: Counter[str]) -> float:
        """Choose the wait before the next round: none after work, longer after each failure."""
        if self.failures:
            return float(min(5.0, 0.2 * 2 ** min(self.failures, 6)))
        return 0.0 if counts else self.service.interval
