"""A worker's news that Redis does not know yet, and the commit that writes it."""

from __future__ import annotations

import logging
import os
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from redis.exceptions import RedisError, ResponseError

from jobplatform.transport import keys
from jobplatform.transport.news import MOST, Ending, Lease, news_of
from jobplatform.transport.recent import Recent
from jobplatform.transport.scripts import COMMIT

logger = logging.getLogger(__name__)

#: Seconds that Redis remembers a worker's last commit, for one whose reply got lost.
_REMEMBERED = 86_400


class Ledger:
    """Collect what a worker's main process has to say and commit it in order.

    It outlives channels and connections: what was not written before a connection was lost is written over the next.

    :param clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.node = uuid.uuid4().hex
        self.pid = os.getpid()
        self.clock = clock
        self.counts: Counter[str] = Counter()
        self.committed_at = 0.0
        #: When Redis last confirmed that this process lives.
        self.beaten_at = clock()
        #: How many leases were settled, ever, and when the last one was, or the first of those now held was taken.
        self.settled = 0
        self.settled_at = 0.0
        #: When a message was taken last.
        self.taken_at = clock()
        #: The number of the last commit that Redis has confirmed.
        self.confirmed = 0
        #: Told when Redis turns out to have forgotten a commit.
        self.on_forgotten: Callable[[], None] = lambda: None
        #: Told, outside of any lock, when there is something new to write.
        self.on_news: Callable[[], None] = lambda: None
        self._lock = threading.RLock()
        self._sequence = 0
        self.held: dict[str, Lease] = {}
        self._unopened: set[str] = set()
        #: What has begun, or was handed to a process that may have begun it: it cannot be recalled.
        self.running: set[str] = set()
        self._started: dict[str, Callable[[], str]] = {}
        #: The starts of held messages that were written.
        self._begun: dict[str, str] = {}
        self._forgotten: set[str] = set()
        #: Messages of jobs that are not to begin, and go back unless they have.
        self.held_back: frozenset[str] = frozenset()
        self._plain: list[str] = []
        self._returned: dict[str, str] = {}
        self._outcomes: dict[str, Ending] = {}
        self._ended: list[Ending] = []
        self._unanswered: list[Any] | None = None
        #: Since when there is news that no commit carries, and since when the unanswered commit's news waits.
        self._waiting_since: float | None = None
        self._unanswered_since: float | None = None
        self._recent = Recent()

    def __len__(self) -> int:
        unanswered = (1 if self._unanswered else 0) + len(self._recent)
        news = len(self._started) + len(self._plain) + len(self._returned) + len(self._ended)
        return news + len(self._forgotten) + unanswered

    def hold(self, tag: str, queue_list: str, message: bytes) -> None:
        """Note that this process holds a lease on a message that came from a queue list, and has not opened it."""
        self.taken_at = self.clock()
        if not self.held:
            self.settled_at = self.taken_at
        self.held[tag] = Lease(queue_list, message)
        self._unopened.add(tag)

    def open(self, tag: str) -> bool:
        """Tell whether a message is still there to be opened; from then on it does not go back by itself."""
        with self._lock:
            self._unopened.discard(tag)
            return tag in self.held

    def give_back_unopened(self) -> int:
        """Return the messages that nothing has been done with; returns how many there were."""
        with self._lock:
            tags = list(self._unopened)
            self.give_back(tags)
            return len(tags)

    def hold_back(self, tags: Iterable[str]) -> None:
        """Return those messages that nothing has been done with, and note the others for who knows of their jobs."""
        with self._lock:
            self.held_back = frozenset(tags)
            self.give_back([tag for tag in self.held_back if tag in self._unopened])

    def engage(self, tag: str) -> bool:
        """Note that a job begins, or is handed to a process; returns whether its message is still held here."""
        with self._lock:
            if tag in self.held:
                self.running.add(tag)
            return tag in self.running

    def start(self, tag: str, entry: Callable[[], str]) -> bool:
        """Note that the message of a lease was started; returns False when it is not held here any more.

        :param entry: writes the journal entry, which most attempts end too soon to need.
        """
        with self._lock:
            if not self.engage(tag):
                return False
            self._started[tag] = entry
            self._note_waiting()
        self.on_news()
        return True

    def note(self, entry: str) -> None:
        """Note a journal entry that ends no lease."""
        with self._lock:
            self._plain.append(entry)
            self._note_waiting()
        self.on_news()

    def outcome(self, tag: str, entry: str, result_key: str = "", result: str = "") -> None:
        """Note what is to be journalled, and kept as a fresh result, when the lease is settled."""
        with self._lock:
            self._outcomes[tag] = Ending(tag, entry, result_key, result)

    def settle(self, tag: str) -> None:
        """Settle a lease; an attempt that began since the last commit needs no entry for its start."""
        with self._lock:
            self.held.pop(tag, None)
            self.running.discard(tag)
            self._begun.pop(tag, None)
            ending = self._outcomes.pop(tag, None)
            if ending is not None and ending.entry:
                self._started.pop(tag, None)
            self._ended.append(ending or Ending(tag))
            self._note_waiting()
            self.settled += 1
            self.settled_at = self.clock()
        self.on_news()

    def give_back(self, tags: Iterable[str]) -> None:
        """Return leased messages to the head of the lists that they came from."""
        with self._lock:
            for tag in tags:
                lease = self.held.get(tag)
                self._drop(tag)
                if lease is not None:
                    self._returned[tag] = lease.queue_list
            self._note_waiting()
        self.on_news()

    def leave(self, describe: Callable[[str], str] | None) -> None:
        """Let go of all that is held, as the process ends: what has begun is interrupted, the rest goes back.

        :param describe: turns the entry of a start into that of such an end; without it, all goes back.
        """
        with self._lock:
            if describe is not None:
                for tag in [tag for tag in self.held if tag in self._started or tag in self._begun]:
                    if tag not in self._outcomes:
                        start = self._started[tag]() if tag in self._started else self._begun[tag]
                        self.outcome(tag, describe(start))
                    self.settle(tag)
            self.give_back(list(self.held))

    def recall(self, tags: Iterable[str]) -> set[str]:
        """Return those of the leased messages whose jobs have surely not begun; names them."""
        with self._lock:
            waiting = [tag for tag in tags if tag in self.held and tag not in self.running]
            self.give_back(waiting)
            return set(waiting)

    def commit(self, client: Any, result_seconds: int) -> bool:
        """Write everything that is waiting; what fails stays and is tried again with the same number.

        :param client: a synchronous Redis client.
        :param result_seconds: how long results stay fresh.
        :returns: whether nothing is left waiting.
        """
        with self._lock:
            while (batch := self.next_batch(result_seconds)) is not None:
                try:
                    answer = COMMIT.run(client, self.names(), batch)
                except ResponseError as error:
                    return self.put_off("refused", error)
                except (RedisError, OSError) as error:
                    return self.put_off("failed", error)
                self.answered(*answer)
        return True

    def next_batch(self, result_seconds: int) -> list[Any] | None:
        """Give the arguments of the next commit: those of the last one until it is answered, None without news."""
        if os.getpid() != self.pid:
            return None  # a forked child holds a copy of its parent's news, which the parent writes
        with self._lock:
            if self._unanswered is None and len(self):
                self._unanswered = self._repetition() or self._batch(result_seconds)
                self._unanswered_since = self._waiting_since
                if len(self) == 1:
                    self._waiting_since = None
            return self._unanswered

    def _repetition(self) -> list[Any] | None:
        news = self._recent.next()
        if news is None:
            return None
        self._sequence += 1
        return [self._sequence, _REMEMBERED, *news]

    def repeat(self) -> int:
        """Commit the last news again, as Redis lost its last writes or all that it held; returns how many commits.

        What Redis did keep is not written twice: a lease that is gone gives nothing back, and the rows take each
        transition once.
        """
        with self._lock:
            count = self._recent.repeat()
            self._note_waiting()
            return count

    def _note_waiting(self) -> None:
        if self._waiting_since is None and len(self):
            self._waiting_since = self.clock()

    def waited(self) -> float:
        """Tell for how many seconds the oldest news has waited to be written."""
        with self._lock:
            if not len(self):
                self._waiting_since = None
            since = [at for at in (self._unanswered_since, self._waiting_since) if at is not None]
            return self.clock() - min(since) if since else 0.0

    def restore(self, tags: Iterable[str]) -> None:
        """Lease messages anew that are held here, but of which Redis has forgotten that they are."""
        with self._lock:
            self._forgotten.update(tag for tag in tags if tag in self.held)
            self._note_waiting()

    def answered(self, refused: int, forgot: int) -> None:
        """Hear that the commit was applied.

        :param refused: how many endings were refused, as their lease had been taken away.
        :param forgot: whether Redis had lost the commit before, and with it perhaps others; they are repeated.
        """
        self.committed_at = self.clock()
        self.confirmed = self._sequence
        with self._lock:
            if forgot:
                self.counts["repeated"] += self.repeat()
            if self._unanswered is not None:
                self._recent.keep(self.committed_at, self._unanswered[2:])
            self._unanswered = self._unanswered_since = None
        self.counts["commits"] += 1
        self.counts["stale"] += refused
        if forgot:
            self.on_forgotten()

    def put_off(self, what: str, error: Exception) -> bool:
        """Hear that the commit was not answered; it stays, and False is returned."""
        self.counts[f"commits_{what}"] += 1
        self.committed_at = self.clock()
        logger.warning("a commit was %s and will be tried again: %s", what, error)
        return False

    def lose(self, tag: str) -> bool:
        """Forget a lease that was taken away, unless its job has begun; returns whether it has not."""
        with self._lock:
            begun = tag in self.running
            if not begun:
                self._drop(tag)
            return not begun

    def _drop(self, tag: str) -> None:
        self.held.pop(tag, None)
        self.running.discard(tag)
        self._unopened.discard(tag)
        self._started.pop(tag, None)
        self._begun.pop(tag, None)

    def names(self) -> list[str]:
        """Name the keys of the commit script."""
        last = keys.last_commit(self.node)
        return [keys.LEASES, keys.LEASE_TIMES, keys.JOURNAL, last, keys.STARTS, keys.FENCES]

    def _batch(self, result_seconds: int) -> list[Any]:
        missing = [tag for tag in self._forgotten if tag in self.held]
        forgotten, self._forgotten = missing[:MOST], set(missing[MOST:])
        restored = [(tag, self.held[tag].text(), self._begun.get(tag, "")) for tag in forgotten]
        started = [(tag, self._started.pop(tag)()) for tag in list(self._started)[:MOST]]
        self._begun.update((tag, text) for tag, text in started if tag in self.held)
        plain = self._plain[: MOST - len(started)]
        del self._plain[: len(plain)]
        # Each goes to the head of its list, so the oldest goes last.
        returned = dict(reversed(list(self._returned.items())[-MOST:]))
        for tag in returned:
            del self._returned[tag]
        ended = self._ended[:MOST]
        del self._ended[: len(ended)]
        self._sequence += 1
        news = news_of(result_seconds, plain, restored, started, returned.items(), ended)
        return [self._sequence, _REMEMBERED, *news]
