"""When a worker's ledger is written to Redis, and over which connection."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import redis

from jobplatform.settings import STALE_BEATS
from jobplatform.transport.duty import Duty, Order
from jobplatform.transport.heart import OVERDUE_SECONDS, Heart
from jobplatform.transport.lateness import Lateness
from jobplatform.transport.ledger import Ledger
from jobplatform.transport.rescue import rescue
from jobplatform.transport.scripts import COMMIT

logger = logging.getLogger(__name__)

#: So many waiting endings are written at once, however young they are.
_ENOUGH = 64
#: The longest that a commit may keep the event loop waiting, in seconds.
_PATIENCE = 5.0
_RETRY_SECONDS = 0.5
#: When nothing was settled for so long, what is held in excess goes back.
_STALL_SECONDS = 1.0


class Committer:
    """Write the ledger a few milliseconds after there is news, or at once when no event loop drives it.

    :param ledger: the news of this process.
    :param connection_parameters: of the Redis that the channels use.
    :param options: the transport options of the broker connection.
    """

    #: Gives back what waits in this worker and not for an idle process, and tells how much that was.
    give_back_surplus: Callable[[], int] = staticmethod(lambda: 0)
    #: Gives back all that waits in this worker, and tells how much that was.
    give_back_waiting: Callable[[], int] = staticmethod(lambda: 0)
    #: Lets this worker end, as a signal would: what runs has so many seconds, or as many as the settings say if None.
    leave: Callable[[float | None], None] = staticmethod(lambda grace: None)
    #: Whether jobs run in the thread of the event loop.
    jobs_block_the_loop = False
    #: How many jobs this worker runs at once.
    processes = 1
    #: How many messages Celery would let it hold for each of them.
    multiplier = 1
    #: Says what this process does and takes.
    describe_worker: Callable[[], dict[str, Any]] = staticmethod(dict)
    #: Lets go of jobs whose leases were taken away, and of jobs that are not to run any more.
    stop_jobs: Callable[[set[str], set[str]], None] = staticmethod(lambda taken, void: None)
    #: Gives back those of some jobs that have not begun, and tells how many that were.
    give_back_held: Callable[[frozenset[str]], int] = staticmethod(lambda tags: 0)
    #: Ends the processes of jobs that were told to stop and did not, or outlast the grace of a worker that leaves.
    end_overdue: Callable[[], None] = staticmethod(lambda: None)
    #: Writes the journal entry of an attempt that was running when this process ended, from that of its start; while
    #: nobody does, such jobs go back.
    describe_left: Callable[[str], str] | None = None

    def __init__(self, ledger: Ledger, connection_parameters: dict[str, Any], options: dict[str, Any]) -> None:
        self.ledger = ledger
        self.commit_seconds = float(options.get("commit_seconds", 0.01))
        self.lease_seconds = float(options.get("visibility_timeout", 60))
        self.result_seconds = int(options.get("result_fresh_seconds", 30))
        parameters = {**connection_parameters, "socket_timeout": _PATIENCE, "socket_connect_timeout": _PATIENCE}
        parameters.pop("max_connections", None)
        self.client = redis.Redis(connection_pool=redis.ConnectionPool(**parameters))
        self.heart = Heart(
            ledger,
            self.client,
            float(options.get("heartbeat_seconds", 5)),
            self._describe,
            lambda taken, void: self.stop_jobs(taken, void),
            self.commit,
            self.obey,
        )
        ledger.on_news = self.hear
        ledger.on_forgotten = self.heart.hurry
        self.order = Order()
        #: Whether the worker is on its way out.
        self.closing = False
        self._thread = 0
        self._later: Callable[[float, Callable[[], Any]], Any] | None = None
        self._scheduled = False
        self._blocked = False
        self._reclaimed_at = 0.0
        self._connection: Any = None
        self._sent = False
        self._known = True
        self._timers: list[Any] = []
        self._lateness = Lateness(_STALL_SECONDS, ledger.clock)
        #: Held while the connection and the answer that it owes are worked with.
        self._lock = threading.RLock()

    def drive(self, loop: Any) -> None:
        """Let an event loop call for commits, and begin to renew the leases."""
        self.release()
        loop.on_tick.discard(self.tick)
        self._scheduled = False
        # After an outage the other workers get the time to renew before their leases are taken for expired.
        self._reclaimed_at = self.ledger.clock() + self.lease_seconds / 6
        self._later = loop.call_later
        self._thread = threading.get_ident()
        loop.on_tick.add(self.tick)
        if not self.jobs_block_the_loop:
            self._lateness.begin()
        self._timers = [
            loop.call_repeatedly(_STALL_SECONDS, self.notice_stall),
            loop.call_repeatedly(_STALL_SECONDS, lambda: self.end_overdue()),
            loop.call_repeatedly(_STALL_SECONDS, self._hold_back),
            loop.call_repeatedly(_STALL_SECONDS, self._lateness.tick),
        ]
        self.heart.between = self._stand_in if self.jobs_block_the_loop else None
        if not self.heart.start():
            self.heart.hurry()

    @property
    def driven(self) -> bool:
        """Tell whether an event loop calls for commits."""
        return self._later is not None

    def release(self) -> None:
        """Cancel the timers of an earlier drive."""
        for timer in self._timers:
            timer.cancel()
        self._timers = []
        self._lateness.end()

    def rest(self) -> None:
        """Expect nothing of the event loop until it drives again."""
        self._lateness.end()

    def notice_stall(self) -> None:
        """Let go of messages that wait behind long jobs, or in a worker that is to take no more."""
        if not self.takes:
            self.let_go()
        elif self.ledger.held and self.ledger.clock() - self.ledger.settled_at > _STALL_SECONDS:
            self.ledger.counts["given_back"] += self.give_back_surplus()

    def _hold_back(self) -> None:
        tags, self.ledger.held_back = self.ledger.held_back, frozenset()
        if tags:
            self.ledger.counts["given_back"] += self.give_back_held(tags)

    @property
    def loop_wait(self) -> float:
        """Tell for how many seconds the event loop has not come to what is due."""
        return self._lateness.now()

    @property
    def takes(self) -> bool:
        """Tell whether this worker may take messages."""
        return self.order.duty is Duty.WORK and not self.closing

    def obey(self, said: str) -> None:
        """Hear what this worker is asked to do; what waits in it goes back within a second, in the thread of the loop.

        :param said: an order as Redis keeps it, '' when Redis does not know.
        """
        before, self.order = self.order, self.order.follow(said)
        if self.order == before:
            return
        logger.warning("this worker was asked to %s", self.order.duty)
        if self.order.duty is Duty.DRAIN:
            self.leave(self.order.grace)

    def let_go(self) -> None:
        """Give back all that surely has not begun."""
        count = self.give_back_waiting() + len(self.ledger.recall(list(self.ledger.held)))
        self.ledger.counts["given_back"] += count

    def retire(self) -> None:
        """Take no more and let go of what waits; while the worker waits for what runs, the heart writes the news."""
        self.closing = True
        self._lateness.end()
        self.let_go()
        self.commit()
        self.heart.between = self._stand_in
        self.heart.hurry()

    def _describe(self) -> dict[str, Any]:
        duty = Duty.DRAIN if self.closing else self.order.duty
        return {
            **self.describe_worker(),
            "duty": str(duty),
            "counts": dict(self.ledger.counts),
            "settled": self.ledger.settled,
            "slots": self.processes,
            "loop_wait": _rounded(self._lateness.take()),
            "jitter": _rounded(self.heart.late),
        }

    def hear(self) -> None:
        """Hear of news: without an event loop it is written now, with one in a few milliseconds.

        The timer must be set from inside an event, before the loop computes how long it may sleep.
        """
        if self._later is None:
            self.commit()
        elif threading.get_ident() == self._thread:
            self._call_later(self.commit_seconds)

    def tick(self) -> None:
        """Write at once when enough is waiting, or when the last commit is long enough ago."""
        waiting = len(self.ledger)
        if waiting and not self._blocked:
            age = self.ledger.clock() - self.ledger.committed_at
            if waiting >= _ENOUGH or age >= self.commit_seconds:
                self._write()

    def _call_later(self, seconds: float) -> None:
        if not self._scheduled and self._later is not None:
            self._scheduled = True
            self._later(seconds, self._due)

    def _due(self) -> None:
        self._scheduled = False
        self._write()

    def _write(self) -> None:
        with self._lock:
            self._blocked = not (self._collect(wait=False) and self._send())
        if self._blocked:
            self._call_later(_RETRY_SECONDS)
        elif self._sent:
            self._call_later(self.commit_seconds)

    def _send(self) -> bool:
        """Send the next commit without waiting for its answer, which is read before the one after it."""
        batch = None if self._sent else self.ledger.next_batch(self.result_seconds)
        if batch is None:
            return True
        try:
            if self._connection is None:
                self._connection = self.client.connection_pool.get_connection()
            command = ("EVALSHA", COMMIT.sha) if self._known else ("EVAL", COMMIT.text)
            names = self.ledger.names()
            self._connection.send_command(*command, len(names), *names, *batch)
        except (redis.RedisError, OSError) as error:
            return self._lose(error)
        self._sent = True
        self.ledger.committed_at = self.ledger.clock()
        return True

    def _collect(self, wait: bool) -> bool:
        """Read the answer to the commit that was sent; False when the commit has to be sent again."""
        if not self._sent:
            return True
        try:
            if not wait and not self._connection.can_read(timeout=0):
                return True
            answer = self._connection.read_response()
        except redis.exceptions.NoScriptError:
            self._sent = self._known = False
            return True
        except redis.ResponseError as error:
            self._sent = False
            return self.ledger.put_off("refused", error)
        except (redis.RedisError, OSError) as error:
            return self._lose(error)
        self._sent, self._known = False, True
        self.ledger.answered(*answer)
        return True

    def _lose(self, error: Exception) -> bool:
        connection, self._connection = self._connection, None
        self._sent = False
        if connection is not None:
            connection.disconnect()
            self.client.connection_pool.release(connection)
        return self.ledger.put_off("failed", error)

    def commit(self) -> bool:
        """Write what is waiting, and wait until it is written; returns whether nothing is left."""
        with self._lock:
            self._collect(wait=True)
            return self.ledger.commit(self.client, self.result_seconds)

    def _stand_in(self) -> None:
        """Do what the event loop would, while a job in its thread keeps it from doing so."""
        now = self.ledger.clock()
        if not self.takes or now - self.ledger.settled_at > _STALL_SECONDS:
            self.ledger.counts["given_back"] += self.ledger.give_back_unopened()
        if len(self.ledger) and now - self.ledger.committed_at > OVERDUE_SECONDS:
            self.commit()
        if self.closing:
            self.end_overdue()

    def still_holds(self, tag: str) -> bool:
        """Tell whether a lease is surely held; a process that was not heard for long asks Redis first.

        Without an answer all that has not begun goes back, as others may have been given it.
        """
        silent = self.ledger.clock() - self.ledger.beaten_at
        if silent > STALE_BEATS * self.heart.seconds and tag in self.ledger.held and not self.heart.beat():
            waiting = self.ledger.recall(list(self.ledger.held))
            self.ledger.counts["given_back"] += len(waiting)
            logger.warning("Redis has not heard this worker for %.1f s; what waits here goes back", silent)
        return tag in self.ledger.held

    def reclaim(self) -> list[str]:
        """Take leases from workers that are silent for long, should no controller do it; returns foreign leases."""
        if not self.driven or self.ledger.clock() - self._reclaimed_at < self.lease_seconds / 4:
            return []
        self._reclaimed_at = self.ledger.clock()
        # After an outage of Redis our own leases look expired too: what has ended is settled, what runs renewed.
        if not (self.commit() and self.heart.beat()):
            return []
        try:
            found = rescue(self.client, self.lease_seconds, 100, watched=0)
        except (redis.RedisError, OSError) as error:
            self.ledger.counts["reclaims_failed"] += 1
            logger.warning("expired leases could not be reclaimed and will be tried again: %s", error)
            return []
        return found.foreign

    def close(self) -> bool:
        """Let go of every lease that is still held and write the last news."""
        self.release()
        self.heart.stop()
        self.ledger.leave(self.describe_left)
        return self.commit()


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
