"""What a controller tells Prometheus and probes."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from redis.exceptions import RedisError

from jobplatform.maintenance import gauges
from jobplatform.metrics import names
from jobplatform.metrics.counts import Counts
from jobplatform.metrics.reading import Reading, Spread, build
from jobplatform.service import Loop
from jobplatform.settings import Settings
from jobplatform.store.database import UNREACHABLE, Database

#: A round that lasts for so long does not end: each of its statements is ended by the server after half a minute.
_STUCK_SECONDS = 300.0
#: Counts of services that have a metric of their own, with the label that they get there.
_REDISPATCHED = {
    "orphans.orphans": "missing_in_broker",
    "orphans.abandoned": "held_by_nobody",
    "rescuer.lost": "worker_lost_running",
    "rescuer.returned": "worker_lost_waiting",
}
_NAMED = {
    "mirror.stale": names.DUPLICATES,
    "mirror.quarantined": names.QUARANTINED,
    "mirror.dead_letters": names.DEAD_LETTERS_MADE,
}


class Telling:
    """Read a controller: what its leader counted, how its loops do, and, where it leads, what the stores tell.

    :param counts: of jobs.
    :param totals: of the services, as ``service.what``.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        client: Any,
        counts: Counts,
        totals: Mapping[str, int],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self.database = database
        self.client = client
        self.counts = counts
        self.totals = totals
        self.monotonic = monotonic

    def readings(self, loops: Sequence[Loop], leads: bool) -> list[Reading | Spread]:
        """Give all readings."""
        told: list[Reading | Spread] = [build("controller"), Reading(names.LEADS, leads), *_of_loops(loops)]
        told += [*self.counts.readings(), *_of_totals(Counter(self.totals))]
        if leads:
            told += self._of_stores()
        return told

    def _of_stores(self) -> list[Reading | Spread]:
        """Read the stores; while one is away, what this process knows by itself is told all the same."""
        try:
            with self.database.session() as session:
                return gauges.readings(session, self.client, self.settings)
        except (*UNREACHABLE, RedisError):
            return []

    def stuck(self, loops: Sequence[Loop], lost: Sequence[str]) -> list[str]:
        """Say what of the controller does not move.

        :param lost: the services whose threads have ended.
        """
        now = self.monotonic()
        told = [f"the thread of {name} has ended" for name in lost]
        for loop in loops:
            began = loop.began_at
            if began is not None and now - began > _STUCK_SECONDS:
                told.append(f"a round of {loop.service.name} has not ended for {now - began:.0f} s")
        return told


def _of_loops(loops: Sequence[Loop]) -> Iterator[Reading]:
    for loop in loops:
        label = (loop.service.name,)
        yield Reading(names.SERVICE_ROUNDS, loop.rounds, label)
        yield Reading(names.SERVICE_FAILURES, loop.failed_rounds, label)
        yield Reading(names.SERVICE_SECONDS, loop.seconds, label)


def _of_totals(totals: Mapping[str, int]) -> Iterator[Reading]:
    for name, metric in _NAMED.items():
        yield Reading(metric, totals.get(name, 0))
    for name, cause in _REDISPATCHED.items():
        yield Reading(names.REDISPATCHED, totals.get(name, 0), (cause,))
    for name, number in totals.items():
        service, _, what = name.partition(".")
        yield Reading(names.SERVICE_COUNTS, number, (service, what))
