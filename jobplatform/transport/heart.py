"""A worker's sign of life, in a thread of its own: a job that blocks its process keeps its lease."""

from __future__ import annotations

import itertools
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

#: News that has waited for so long is not written by the event loop.
OVERDUE_SECONDS = 0.2
_BETWEEN_SECONDS = 0.2
_SOON_SECONDS = 0.5
#: A worker that begins says so when it has asked for its first jobs, which shall not wait for that.
_FIRST_SECONDS = 0.05


class Heart:
    """Tell Redis every few seconds that this process lives and what it does, and renew its leases by that.

    :param client: a Redis client that threads may share.
    :param seconds: between two beats.
    :param describe: what the process does and takes, as values that JSON can hold.
    :param on_void: told the leases that were taken away, and those of jobs that are not to run any more, in the thread
        of the heart.
    :param write: commits the ledger.
    :param on_duty: told what the process is asked to do, '' when Redis does not know, in the thread of the heart.
    """

    #: Done several times between two beats, where the process itself may be busy with a job.
    between: Callable[[], Any] | None = None

    def __init__(
        self,
        ledger: Ledger,
        client: Any,
        seconds: float,
        describe: Callable[[], dict[str, Any]],
        on_void: Callable[[set[str], set[str]], None],
        write: Callable[[], Any],
        on_duty: Callable[[str], None] = lambda said: None,
    ) -> None:
        self.ledger = ledger
        self.client = client
        self.seconds = seconds
        self.describe = describe
        self.on_void = on_void
        self.write = write
        self.on_duty = on_duty
        #: How long after it was due the last beat came, in seconds; 0 for one that was hurried.
        self.late = 0.0
        self._reminded = False
        self._stopped = False
        self._woken = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> bool:
        """Begin to beat; returns False if it does already."""
        if self._thread is not None:
            return False
        self._thread = threading.Thread(target=self._run, name="heart", daemon=True)
        self._thread.start()
        return True

    def hurry(self) -> None:
        """Beat at once, as Redis may have forgotten what this process holds."""
        self._woken.set()

    def stop(self) -> None:
        """Beat no more, and say goodbye."""
        self._stopped = True
        self._woken.set()
        if self._thread is None:
            return
        self._thread.join(self.seconds)
        try:
            self._tell({**self.describe(), "gone": True}, [])
        except (redis.RedisError, OSError) as error:
            logger.warning("Redis did not hear that this worker ends, it will count as dead: %s", error)

    def beat(self) -> bool:
        """Beat once; returns whether Redis heard it."""
        began = self.ledger.clock()
        try:
            forgot, taken, void, held, duty, *tags = self._tell(self.describe(), list(self.ledger.held))
        except (redis.RedisError, OSError) as error:
            self.ledger.counts["beats_failed"] += 1
            logger.warning("Redis did not hear that this worker lives; it will be told again: %s", error)
            return False
        self.ledger.beaten_at = began
        said, *names = [text.decode() if isinstance(text, bytes) else text for text in (duty, *tags)]
        if taken:
            self.ledger.counts["taken"] += taken
            logger.error("%d leases were taken away, as this worker had said nothing for too long", taken)
        ends = list(itertools.accumulate((taken, void, held)))
        if taken or void:
            self.on_void(set(names[: ends[0]]), set(names[ends[0] : ends[1]]))
        self.ledger.hold_back(names[ends[1] : ends[2]])
        if forgot or names[ends[2] :]:
            self._remind(bool(forgot), names[ends[2] :])
        self.on_duty(said)
        return True

    def _tell(self, report: dict[str, Any], held: list[str]) -> list[Any]:
        last = keys.last_commit(self.ledger.node)
        names = [keys.LEASES, keys.LEASE_TIMES, keys.WORKERS, last, keys.FENCES, keys.PAUSED, keys.DUTIES]
        waited = self.ledger.waited()
        args = [self.ledger.node, json.dumps(report), keys.TAKEN, self.ledger.confirmed, f"{waited:.6f}", *held]
        reply: list[Any] = BEAT.run(self.client, names, args)
        return reply

    def _remind(self, forgot: bool, tags: list[str]) -> None:
        """Write again what Redis has lost, and soon see whether it is there."""
        self.ledger.counts["forgotten"] += len(tags)
        logger.warning("Redis has lost what this worker wrote last; it is told again, and of %d leases", len(tags))
        if forgot:
            self.ledger.counts["repeated"] += self.ledger.repeat()
        self.ledger.restore(tags)
        self.write()
        self._reminded = True

    def _beat_anyway(self) -> None:
        """Beat; whatever goes wrong, a heart must not stop: its worker would count as dead.

        While the worker connects anew no event loop writes its news, and a lease that ended is not renewed.
        """
        try:
            if self.beat() and self.ledger.waited() > OVERDUE_SECONDS:
                self.write()
        except Exception:
            self.ledger.counts["beats_failed"] += 1
            logger.exception("a heartbeat went wrong; the next one follows in %s s", self.seconds)

    def _run(self) -> None:
        due = self.ledger.clock() + _FIRST_SECONDS
        while self._rest(due):
            self.late = max(0.0, self.ledger.clock() - due)
            self._beat_anyway()
            due = self.ledger.clock() + (_SOON_SECONDS if self._reminded else self.seconds)
            self._reminded = False

    def _rest(self, until: float) -> bool:
        """Wait until a time, unless hurried; returns whether to go on."""
        while not self._stopped:
            left = until - self.ledger.clock()
            if self._woken.wait(max(0.0, min(left, _BETWEEN_SECONDS) if self.between else left)):
                break
            if left <= _BETWEEN_SECONDS:
                break
            if self.between is not None:
                self.between()
        self._woken.clear()
        return not self._stopped
