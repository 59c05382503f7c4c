"""A worker's sign of life, in a thread of its own: a job that blocks its process keeps its lease."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from typing import Any

import redis

from jobplatform.transport import keys
from jobplatform.transport.ledger import Ledger
from jobplatform.transport.scripts import BEAT

logger = logging.getLogger(__name__)

_BETWEEN_SECONDS = 0.2


class Heart:
    """Tell Redis every few seconds that this process lives and what it does, and renew its leases by that.

    :param client: a Redis client that threads may share.
    :param seconds: between two beats.
    :param describe: what the process does and takes, as values that JSON can hold.
    :param on_taken: told the leases that were taken away, in the thread of the heart.
    """

    #: Done several times between two beats, where the process itself may be busy with a job.
    between: Callable[[], Any] | None = None

    def __init__(
        self,
        ledger: Ledger,
        client: Any,
        seconds: float,
        describe: Callable[[], dict[str, Any]],
        on_taken: Callable[[set[str]], None],
    ) -> None:
        self.ledger = ledger
        self.client = client
        self.seconds = seconds
        self.describe = describe
        self.on_taken = on_taken
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to beat, if it does not yet."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="heart", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Beat no more, and take the worker off the list."""
        self._stop.set()
        if self._thread is None:
            return
        self._thread.join(self.seconds)
        try:
            self.client.hdel(keys.WORKERS, self.ledger.node)
        except (redis.RedisError, OSError) as error:
            logger.warning("the worker could not be taken off the list, it will count as dead: %s", error)

    def beat(self) -> bool:
        """Beat once; returns whether Redis heard it."""
        began = self.ledger.clock()
        held = list(self.ledger.held)
        names = [keys.LEASES, keys.LEASE_TIMES, keys.WORKERS]
        report = json.dumps(self.describe())
        try:
            taken = BEAT.run(self.client, names, [self.ledger.node, report, keys.TAKEN, *held])
        except (redis.RedisError, OSError) as error:
            self.ledger.counts["beats_failed"] += 1
            logger.warning("Redis did not hear that this worker lives; it will be told again: %s", error)
            return False
        self.ledger.beaten_at = began
        if taken:
            tags = {tag.decode() if isinstance(tag, bytes) else tag for tag in taken}
            self.ledger.counts["taken"] += len(tags)
            logger.error("%d leases were taken away, as this worker had said nothing for too long", len(tags))
            self.on_taken(tags)
        return True

    def _beat_anyway(self) -> None:
        """Beat; whatever goes wrong, a heart must not stop: its worker would count as dead."""
        try:
            self.beat()
        except Exception:
            self.ledger.counts["beats_failed"] += 1
            logger.exception("a heartbeat went wrong; the next one follows in %s s", self.seconds)

    def _run(self) -> None:
        due = self.ledger.clock()
        while not self._stop.wait(max(0.0, due - self.ledger.clock())):
            self._beat_anyway()
            due = self.ledger.clock() + self.seconds
            while self.between is not None and self.ledger.clock() < due - _BETWEEN_SECONDS:
                if self._stop.wait(_BETWEEN_SECONDS):
                    return
                self.between()
