"""How late an event loop comes to what is due."""

from __future__ import annotations

import time
from collections.abc import Callable


class Lateness:
    """Note the worst that a timer of an event loop had to wait; another thread that asks also sees a loop that hangs.

    :param seconds: between two ticks of the timer.
    :param clock: monotonic seconds.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self.clock = clock
        self._due: float | None = None
        self._worst = 0.0

    def begin(self) -> None:
        """Let the timer be due for the first time."""
        self._worst = 0.0
        self._due = self.clock() + self.seconds

    def tick(self) -> None:
        """Note that the timer has come."""
        now = self.clock()
        if self._due is not None:
            self._worst = max(self._worst, now - self._due)
        self._due = now + self.seconds

    def end(self) -> None:
        """Expect no more ticks."""
        self._due = None

    def now(self) -> float:
        """Give for how many seconds the timer has been due; 0 where no loop drives it."""
        due = self._due
        return 0.0 if due is None else max(0.0, self.clock() - due)

    def take(self) -> float | None:
        """Give the worst wait since the last call, in seconds; None where no loop drives the timer."""
        due = self._due
        if due is None:
            return None
        worst, self._worst = self._worst, 0.0
        return max(worst, self.clock() - due, 0.0)
