"""What was submitted without a row, pushed again should Redis lose it before the mirror has made the row."""

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


class Pushed(NamedTuple):
    """Commands that were sent together, their number, and when."""

    number: int
    at: float
    commands: Sequence[Command]


class Keeper:
    """Push, and keep what was pushed for some seconds in which a thread looks whether Redis still knows of it.

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

    def push(self, commands: Sequence[Command]) -> None:
        """Send commands that push messages and journal entries.

        :raises RedisError: when they may not have been taken; then they are not kept.
        """
        with self._lock:
            self._number += 1
            mark: Command = ("SET", keys.pushed(self.name), self._number, "EX", _REMEMBERED_SECONDS)
            self.ask([*commands, mark])
            self._kept.append(Pushed(self._number, self.clock(), commands))
            if self.watch and self._thread is None:
                self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)
                self._thread.start()

    def look(self) -> None:
        """Push again what Redis has lost, and let go of what it has held for long enough."""
        with self._lock:
            (value,) = self.ask([("GET", keys.pushed(self.name))])
            last = int(value or 0)
            lost = [pushed for pushed in self._kept if pushed.number > last]
            durable = self.clock() - KEPT_SECONDS
            self._kept = deque(pushed for pushed in self._kept if pushed.number <= last and pushed.at > durable)
            if lost:
                self.repeated += len(lost)
                logger.warning("Redis has lost what was submitted last; %d pushes are repeated", len(lost))
            for number, pushed in enumerate(lost):
                self._push_again(pushed, lost[number:])

    def close(self) -> None:
        """Look no more."""
        self._closed.set()
        thread = self._thread
        if thread is not None:
            thread.join()

    def _push_again(self, pushed: Pushed, rest: Sequence[Pushed]) -> None:
        try:
            self.push(pushed.commands)
        except BaseException:
            self._kept.extend(rest)
            raise

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
