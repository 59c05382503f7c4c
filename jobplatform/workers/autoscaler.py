"""How many processes a worker has, by what its queues hold: what stands behind ``--autoscale=10,2``."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import redis
from celery.worker import autoscale

from jobplatform.jobs.platform import platform_of
from jobplatform.journal.writer import connect
from jobplatform.transport import census, keys
from jobplatform.transport.committer import Committer

logger = logging.getLogger(__name__)

#: Seconds between looks, for which fewer processes must have been enough before some end, and for which a look counts.
LOOK_SECONDS = 1.0
CALM_SECONDS = 30.0
_FRESH_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Demand:
    """What asks for processes: jobs that run here, messages that wait, and the workers that share those."""

    running: int
    waiting: int
    workers: int

    @property
    def processes(self) -> int:
        """How many processes that would keep busy."""
        return self.running + math.ceil(self.waiting / max(self.workers, 1))


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many processes a worker has at least and at most."""

    least: int
    most: int


def pool_size(size: int, demand: Demand | None, bounds: Bounds, calm: float) -> int:
    """Decide how many processes a pool is to have: more at once, fewer after some calm, and never a busy one less.

    :param size: how many it has.
    :param demand: None when it is not known; then the size stays.
    :param calm: for how many seconds fewer would have been enough.
    """
    if demand is None:
        return max(bounds.least, min(size, bounds.most))
    need = max(bounds.least, min(demand.processes, bounds.most))
    if need >= size:
        return need
    enough = need if calm >= CALM_SECONDS else bounds.most
    return min(size, max(enough, demand.running))


class QueueLook:
    """Look into the queues from a thread of its own, as the event loop must not wait for Redis."""

    def __init__(self, client: Any, queues: Callable[[], list[str]], clock: Callable[[], float]) -> None:
        self.client = client
        self.queues = queues
        self.clock = clock
        self._seen: tuple[float, int, int] | None = None
        self._ended = threading.Event()
        threading.Thread(target=self._run, name="autoscaler", daemon=True).start()

    def last(self) -> tuple[int, int] | None:
        """Give how many messages waited and how many workers there were, None when that is not known."""
        seen = self._seen
        if seen is None or self.clock() - seen[0] > _FRESH_SECONDS:
            return None
        return seen[1], seen[2]

    def _run(self) -> None:
        while not self._ended.wait(LOOK_SECONDS / 2):
            try:
                waiting = sum(census.waiting(self.client, queue) for queue in self.queues())
                self._seen = (self.clock(), waiting, int(self.client.hlen(keys.WORKERS)))
            except (redis.RedisError, OSError) as error:
                logger.debug("how much waits cannot be told: %s", error)

    def stop(self) -> None:
        """Look no more."""
        self._ended.set()


class Autoscaler(autoscale.Autoscaler):  # type: ignore[misc]
    """Celery's autoscaler, which asks the queues instead of its own prefetch buffer."""

    def __init__(
        self,
        pool: Any,
        max_concurrency: int,
        min_concurrency: int = 0,
        worker: Any = None,
        keepalive: float = LOOK_SECONDS,
        mutex: Any = None,
    ) -> None:
        super().__init__(pool, max_concurrency, max(min_concurrency, 1), worker, keepalive, mutex)
        self.clock = time.monotonic
        settings = platform_of(worker.app).settings
        client = connect(settings.broker if settings.leases else settings.journal_url, timeout=5.0)
        self.look = QueueLook(client, lambda: list(worker.app.amqp.queues.consume_from), self.clock)
        self._enough_since: float | None = None
        Committer.processes = self.min_concurrency

    @property
    def qty(self) -> int:
        """The number of jobs that run."""
        return len(autoscale.state.active_requests)

    def maybe_scale(self, req: Any = None) -> None:
        """Let the pool have as many processes as its queues ask for; with each message is too often."""
        if req is None and self._maybe_scale():
            self.pool.maintain_pool()

    def _maybe_scale(self, req: Any = None) -> bool:
        size, wanted = self.processes, self._wanted()
        if wanted > size:
            self.scale_up(wanted - size)
        elif wanted < size:
            self._shrink(size - wanted)
        self._fit()
        return bool(self.processes != size)

    def _wanted(self) -> int:
        seen = self.look.last()
        demand = Demand(self.qty, *seen) if seen else None
        size, now = self.processes, self.clock()
        bounds = Bounds(self.min_concurrency, self.max_concurrency)
        if demand is None or demand.processes >= size:
            self._enough_since = None
        elif self._enough_since is None:
            self._enough_since = now
        return pool_size(size, demand, bounds, now - self._enough_since if self._enough_since is not None else 0.0)

    def _fit(self) -> None:
        """Let the worker hold messages for the processes that it has, and for no more."""
        Committer.processes = self.processes
        consumer = getattr(self.worker, "consumer", None)
        qos = getattr(consumer, "qos", None)
        if qos is not None:
            fitting = self.processes * self.worker.prefetch_multiplier
            if qos.value > fitting:
                qos.decrement_eventually(qos.value - fitting)
            elif qos.value < fitting:
                qos.increment_eventually(fitting - qos.value)

    def stop(self) -> None:
        """Look no more."""
        self.look.stop()
        super().stop()
