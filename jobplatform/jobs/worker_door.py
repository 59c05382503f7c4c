"""What a worker's main process tells Prometheus and probes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import redis
from celery import signals
from celery.worker.state import active_requests

from jobplatform.jobs.platform import platform_of
from jobplatform.jobs.pulse import Pulse, Waiting
from jobplatform.journal.deeds import DEEDS
from jobplatform.journal.report import snapshot
from jobplatform.journal.writer import connect
from jobplatform.metrics import names
from jobplatform.metrics.door import open_door
from jobplatform.metrics.health import Probes
from jobplatform.metrics.reading import Reading, Spread, build
from jobplatform.settings import Settings
from jobplatform.transport import census, keys
from jobplatform.transport.committer import Committer
from jobplatform.transport.committers import driven_committers

#: Seconds that a probe waits for Redis.
_PATIENCE = 1.0
#: From this share of its limit on, the journal keeps workers from taking more.
_FULL = 0.9


class WorkerTelling:
    """Read this worker.

    :param client: a Redis client of its own, which waits for a short time.
    """

    def __init__(self, settings: Settings, client: Any, app: Any) -> None:
        self.settings = settings
        self.client = client
        self.app = app
        #: When it was seen last that nothing could be taken, by the clock of the ledger.
        self._excused_at = float("-inf")

    def readings(self) -> list[Reading | Spread]:
        """Give all readings."""
        told: list[Reading | Spread] = [build("worker"), Reading(names.WORKER_SLOTS, _slots())]
        told.append(Reading(names.WORKER_RUNNING, len(active_requests)))
        for deed in DEEDS.told():
            labels = (deed.job_type or "other", deed.queue)
            told.append(Reading(names.WORKER_STARTED, deed.started, labels))
            told.append(Reading(names.WORKER_ENDED, deed.ended, labels))
            told.append(Reading(names.WORKER_FAILED, deed.failed, labels))
        for committer in driven_committers():
            told += _of_ledger(committer)
        return told

    def stuck(self) -> list[str]:
        """Say why this worker should be begun anew."""
        return [problem for committer in driven_committers() for problem in self._pulse(committer).problems()]

    def unready(self) -> list[str]:
        """Say why nothing should be expected of this worker."""
        committers = driven_committers()
        told = [f"it was asked to {each.order.duty}" for each in committers if not each.takes]
        if self.settings.leases and not committers:
            told.append("it has no connection to Redis")
        return told if self._waiting() is not None else [*told, "Redis does not answer"]

    def _pulse(self, committer: Committer) -> Pulse:
        ledger, waiting = committer.ledger, self._waiting()
        now = ledger.clock()
        if waiting is None or not committer.takes:
            self._excused_at = now
        free = len(snapshot(active_requests)) < _slots()
        return Pulse(
            silent=now - ledger.beaten_at,
            stale=self.settings.stale_seconds,
            loop_wait=committer.loop_wait,
            idle=now - max(ledger.taken_at, ledger.settled_at, self._excused_at) if free else None,
            takes=committer.takes,
            waiting=waiting,
        )

    def _waiting(self) -> Sequence[Waiting] | None:
        """Look what this worker could take: nothing of paused queues, nor while the journal is full."""
        try:
            if self.client.xlen(keys.JOURNAL) > _FULL * self.settings.journal_limit:
                return ()
            paused = {name.decode() for name in self.client.hkeys(keys.PAUSED)}
            queues = [queue for queue in sorted(self.app.amqp.queues.consume_from) if f"queue:{queue}" not in paused]
            looks = census.backlog(self.client, queues)
        except (redis.RedisError, OSError):
            return None
        return [Waiting(queue, look.listed, look.oldest) for queue, look in looks.items()]


def _slots() -> int:
    """Tell how many jobs run here at once, which autoscaling changes."""
    return 1 if Committer.jobs_block_the_loop else Committer.processes


def _of_ledger(committer: Committer) -> Iterator[Reading]:
    ledger = committer.ledger
    yield Reading(names.WORKER_HELD, len(ledger.held))
    yield Reading(names.WORKER_UNWRITTEN, len(ledger))
    yield Reading(names.WORKER_BEAT_AGE, ledger.clock() - ledger.beaten_at)
    yield Reading(names.WORKER_LOOP_WAIT, committer.loop_wait)
    for what, number in dict(ledger.counts).items():
        yield Reading(names.WORKER_LEDGER, number, (what,))


def open_worker_door(app: Any) -> None:
    """Tell how this worker is for as long as it lives, if the settings say where."""
    settings = platform_of(app).settings
    if not settings.metrics_bind:
        return
    telling = WorkerTelling(settings, connect(settings.journal_url, timeout=_PATIENCE), app)
    door = open_door(settings.metrics_bind, telling.readings, Probes(telling.stuck, telling.unready))
    if door is not None:
        signals.worker_shutdown.connect(lambda **_: door.close(), weak=False)
