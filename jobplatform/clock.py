"""The time of a store, which all processes share, whatever their machines' own clocks say."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)

#: The store is asked again after so many seconds, and at once when the machine slept or its clock was set.
_FRESH_SECONDS = 60.0
#: As long as it has never answered, after so many.
_AGAIN_SECONDS = 5.0
_JUMP_SECONDS = 0.5


class StoreClock:
    """Tell the time of a store, in seconds since the epoch.

    It asks the store now and then, and counts on by itself in between. Until the store has answered once it tells what
    the machine's clock says.

    :param ask: gives the store's time; what it raises is logged, and it is asked again later.
    :param local: the machine's clock, which may be wrong and may jump.
    :param steady: seconds from any beginning, which never jump.
    """

    def __init__(
        self,
        ask: Callable[[], float],
        local: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self.ask = ask
        self.local = local
        self.steady = steady
        self._ahead: float | None = None
        self._fresh_until = float("-inf")
        #: How far the machine's clock was from the steady one when the store was asked.
        self._local_ahead = 0.0
        self._lock = threading.Lock()

    def __call__(self) -> float:
        """Tell the time."""
        if self._is_due() and self._lock.acquire(blocking=self._ahead is None):
            try:
                if self._is_due():
                    self._ask()
            finally:
                self._lock.release()
        return self.local() if self._ahead is None else self.steady() + self._ahead

    def _is_due(self) -> bool:
        steady = self.steady()
        return steady > self._fresh_until or abs(self.local() - steady - self._local_ahead) > _JUMP_SECONDS

    def _ask(self) -> None:
        before = self.steady()
        try:
            said = self.ask()
        except Exception as error:  # noqa: BLE001 - stores raise many things, and the time must be told
            logger.warning("no store tells the time, the last that is known counts on: %s", error)
        else:
            self._ahead = said - (before + self.steady()) / 2
        steady = self.steady()
        self._fresh_until = steady + (_AGAIN_SECONDS if self._ahead is None else _FRESH_SECONDS)
        self._local_ahead = self.local() - steady
