"""What was submitted without a row, journalled again should Redis lose it before the mirror has made the row.

The message is not pushed again: its job may have run already. If it has not, its row is one that no message stands for.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import redis

from jobplatform.transport import keys

logger = logging.getLogger(__name__)

#: A command with its arguments.
Command = tuple[str | int | bytes, ...]

#: By then the journal is mirrored, and a Redis that syncs its append-only file every second has done so.
KEPT_SECONDS = 2.5
_LOOK_SECONDS = 0.5
_REMEMBERED_SECONDS = 3_600
#: A Redis that forgets at once is not told more often at a time.
_ROUNDS = 3


class Pushed(NamedTuple):
    """What was sent together: its number, when, and what to send should it get lost."""

    number: int
    at: float
    again: Sequence[Command]


class Keeper:
    """Push, and remember it for some seconds in which a thread looks whether Redis still knows of it.

    :param ask: sends commands together and gives the answers.
    :param clock: monotonic seconds.
    :param watch: whether to look from a thread of its own.
    """

    def __init__(
        self,
        ask: Callable[[Sequence[Command]], list[Any]],
        clock: Callable[[], float] = time.monotonic,
        watch: bool = True,
    ) -> None:
        self.name = uuid.uuid4().hex
        self.ask = ask
        self.clock = clock
        self.watch = watch
        self.repeated = 0
        self._kept: deque[Pushed] = deque()
        self._number = 0
        self._lock = threading.RLock()
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()

    def __len__(self) -> int:
        return len(self._kept)

    def push(self, commands: Sequence[Command], again: Sequence[Command]) -> None:
        """Send commands that push messages and journal entries.

        :param again: those that are sent once more should Redis lose what these did.
        :raises RedisError: when they may not have been taken; then they are not kept.
        """
        with self._lock:
            lost = self._send(commands, again)
            try:
                self._repeat(lost)
            except (redis.RedisError, OSError) as error:
                logger.warning("what Redis has lost cannot be repeated, it will be again: %s", error)
            if self.watch and self._thread is None:
                self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)
                self._thread.start()

    def _send(self, commands: Sequence[Command], again: Sequence[Command]) -> list[Pushed]:
        """Send commands and keep them; returns what Redis turns out to have lost."""
        self._number += 1
        name = keys.pushed(self.name)
        mark: Command = ("SET", name, self._number, "EX", _REMEMBERED_SECONDS)
        *_, before, _ = self.ask([*commands, ("GET", name), mark])
        lost = self._lost_after(int(before or 0))
        self._kept.append(Pushed(self._number, self.clock(), again))
        return lost

    def look(self) -> None:
        """Push again what Redis has lost, and let go of what it has held for long enough."""
        with self._lock:
            (value,) = self.ask([("GET", keys.pushed(self.name))])
            lost = self._lost_after(int(value or 0))
            durable = self.clock() - KEPT_SECONDS
            self._kept = deque(pushed for pushed in self._kept if pushed.at > durable)
            self._repeat(lost)

    def _lost_after(self, last: int) -> list[Pushed]:
        """Take out what Redis does not know, given the last number that it does."""
        lost = [pushed for pushed in self._kept if pushed.number > last]
        self._kept = deque(pushed for pushed in self._kept if pushed.number <= last)
        return lost

    def _repeat(self, lost: Sequence[Pushed]) -> None:
        for _ in range(_ROUNDS):
            if not lost:
                return
            self.repeated += len(lost)
            logger.warning("Redis has lost what was submitted last; %d entries are repeated", len(lost))
            again: list[Pushed] = []
            for place, pushed in enumerate(lost):
                try:
                    again += self._send(pushed.again, pushed.again)
                except BaseException:
                    self._keep_for_later([*again, *lost[place:]])
                    raise
            lost = again
        self._keep_for_later(lost)

    def _keep_for_later(self, lost: Sequence[Pushed]) -> None:
        """Keep what Redis does not know under numbers that it does not know, so that the next look finds it."""
        for pushed in lost:
            self._number += 1
            self._kept.append(Pushed(self._number, self.clock(), pushed.again))

    def close(self) -> None:
        """Look no more."""
        self._closed.set()
        thread = self._thread
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        while not self._has_ended() and not self._closed.wait(_LOOK_SECONDS):
            try:
                self.look()
            except (redis.RedisError, OSError) as error:
                logger.warning("what was submitted last cannot be looked for, it will be again: %s", error)

    def _has_ended(self) -> bool:
        with self._lock:
            if not self._kept:
                self._thread = None
            return not self._kept
