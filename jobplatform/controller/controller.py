"""The controller's services, each in a loop of its own."""

from __future__ import annotations

import json
import logging
import os
import random
import socket
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from jobplatform.clock import StoreClock
from jobplatform.controller.crew import Crew
from jobplatform.controller.leader import Leader
from jobplatform.controller.retries import Retries
from jobplatform.controller.telling import Telling
from jobplatform.controller.upkeep import Upkeep
from jobplatform.decision import Seen
from jobplatform.journal.mirror import Mirror
from jobplatform.journal.writer import connect
from jobplatform.limits import Limit
from jobplatform.maintenance.cancel_counter import CancelCounter
from jobplatform.maintenance.dispatcher import Dispatcher
from jobplatform.maintenance.duties import Duties
from jobplatform.maintenance.early_news import EarlyNews
from jobplatform.maintenance.estimator import Estimator
from jobplatform.maintenance.examiner import Examiner
from jobplatform.maintenance.gatekeeper import Gatekeeper
from jobplatform.maintenance.journal_watch import JournalWatch
from jobplatform.maintenance.key_pruner import KeyPruner
from jobplatform.maintenance.limiter import Limiter
from jobplatform.maintenance.orphans import OrphanFinder
from jobplatform.maintenance.pauser import Pauser
from jobplatform.maintenance.pruner import Pruner
from jobplatform.maintenance.reachable import stores_away
from jobplatform.maintenance.releaser import Releaser
from jobplatform.maintenance.replayer import Replayer
from jobplatform.maintenance.rescuer import Rescuer
from jobplatform.maintenance.roster import Roster
from jobplatform.maintenance.tallier import Tallier
from jobplatform.maintenance.type_publisher import TypePublisher
from jobplatform.metrics.counts import Counts
from jobplatform.metrics.door import Door, open_door
from jobplatform.metrics.health import Probes
from jobplatform.service import Loop, Service
from jobplatform.settings import Settings
from jobplatform.store import leadership
from jobplatform.store.database import Database
from jobplatform.transport import keys
from jobplatform.transport.broker import BrokerPublisher
from jobplatform.transport.publisher import Publisher

logger = logging.getLogger(__name__)

#: Seconds after which a controller that says nothing is taken for dead.
ALIVE_SECONDS = 15
#: No transaction of a service says nothing for so long, unless its process stands still.
_QUIET_SECONDS = 30.0


class Presence:
    """Say in Redis that a controller is alive."""

    name = "presence"
    interval = ALIVE_SECONDS / 3

    def __init__(self, client: Any, leader: Leader) -> None:
        self.client = client
        self.leader = leader

    def run_once(self, now: datetime) -> Counter[str]:
        """Renew the sign of life."""
        value = {"host": socket.gethostname(), "pid": os.getpid(), "leads": self.leader.leads}
        self.client.set(keys.CONTROLLER, json.dumps(value), ex=ALIVE_SECONDS)
        return Counter()


class Controller:
    """Run the services of the platform until told to stop.

    :param broker: opens a kombu connection to a broker that is not our Redis transport.
    :param stop: ends the controller when set.
    :param declared: the limits that job types declare.
    :param types: what the job types of the application take, as ``jobs.published`` gives it.
    """

    def __init__(
        self,
        settings: Settings,
        broker: Callable[[], Any],
        stop: threading.Event,
        declared: Sequence[Limit] = (),
        types: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        self.settings = settings
        self.declared = declared
        self.types = types
        self.stop = stop
        self.totals: Counter[str] = Counter()
        self.counts = Counts()
        self._loops: dict[str, Loop] = {}
        self.database = Database(settings, pool_size=6, quiet_seconds=_QUIET_SECONDS, only_indexes=True)
        self.client = connect(settings.journal_url, timeout=5.0)
        self.publisher: Publisher | BrokerPublisher
        if settings.leases:
            self.publisher = Publisher(settings.journal_url, settings.connect_seconds, ring=settings.signing_keys)
        else:
            self.publisher = BrokerPublisher(broker, settings.signing_keys)
        self.leader = Leader(self.database)
        self.retries = Retries(self.database, settings, random.Random())
        self.estimator = Estimator(self.database, settings)
        self.crew = Crew(self.database, self.client, settings) if settings.leases else None
        self.upkeep = Upkeep(self.database, self.client, settings)
        self.clock = StoreClock(lambda: self.database.once(leadership.probe).now)

    def services(self) -> list[Service]:
        """List the services that only the leader runs."""
        settings = self.settings
        services: list[Service] = [
            Mirror(
                self.client,
                self.database,
                self.retries.decide,
                self.stop.wait,
                settings.mirror_batch,
                observe=self._observe,
            ),
            self.retries.gatekeeper,
            self.retries.learner,
            self.estimator,
            JournalWatch(self.client, settings.journal_limit),
            EarlyNews(self.database, self.client),
        ]
        services.append(Dispatcher(self.database, self.publisher, settings.dispatch_batch, settings.dispatch_seconds))
        services.append(Examiner(self.database, settings.upstream_seconds))
        services.append(KeyPruner(self.database))
        services.append(CancelCounter(self.database, self.counts.add_moved))
        services.append(Tallier(self.database))
        services.append(TypePublisher(self.database, self.types))
        services.append(Replayer(self.database))
        services.append(Pruner(self.database, settings.dead_letter_days))
        services.append(Releaser(self.database, ask_workers=settings.leases))
        services += self.upkeep.services()
        if settings.leases:
            services.append(Pauser(self.database, self.client))
            services.append(OrphanFinder(self.database, self.client, settings.orphan_grace_seconds))
            services.append(Rescuer(self.client, settings.stale_seconds))
            services.append(Duties(self.database, self.client))
            services.append(Limiter(self.database, self.client, settings.stale_seconds, self.declared))
            services.append(Roster(self.database, self.client, settings.stale_seconds))
        if self.crew is not None:
            services += self.crew.services()
        return services

    def run(self) -> None:
        """Start every service in a thread and wait for the stop."""
        loops = [Loop(service, self.stop, self._leads, self._count, self._now) for service in self.services()]
        everybody: list[Service] = [self.leader, Presence(self.client, self.leader), self.upkeep.outcry()]
        loops += [Loop(service, self.stop) for service in everybody]
        self._loops = {loop.service.name: loop for loop in loops}
        threads = [threading.Thread(target=loop.run, name=loop.service.name, daemon=True) for loop in loops]
        for thread in threads:
            thread.start()
        door = self._open_door(loops, threads)
        self.stop.wait()
        for loop in loops:
            loop.ring()
        for thread in threads:
            thread.join(timeout=10)
        if door is not None:
            door.close()
        self._close()

    def _open_door(self, loops: Sequence[Loop], threads: Sequence[threading.Thread]) -> Door | None:
        telling = Telling(self.settings, self.database, self.client, self.counts, self.totals)

        def stuck() -> list[str]:
            return telling.stuck(loops, [thread.name for thread in threads if not thread.is_alive()])

        probes = Probes(stuck, lambda: [*stuck(), *stores_away(self.database, self.client)])
        return open_door(self.settings.metrics_bind, lambda: telling.readings(loops, self.leader.leads), probes)

    def _now(self) -> datetime:
        """Tell the time of PostgreSQL, by which rows are due."""
        return datetime.fromtimestamp(self.clock(), UTC)

    def _observe(self, seen: Seen) -> None:
        # Whatever goes wrong below, what is written is seen once.
        self.counts.add_moved(seen.moved)
        self.retries.observe(seen)
        self.estimator.observe(seen)

    def _leads(self) -> bool:
        return self.leader.leads

    def _count(self, service: str, counts: Counter[str]) -> None:
        self.totals.update({f"{service}.{name}": number for name, number in counts.items()})
        if counts["release"]:
            # What has waited for other jobs is due; the next link of a chain shall not wait for a look as well.
            self._loops[Dispatcher.name].ring()
        if service == Mirror.name and self.retries.is_waited_for:
            self._loops[Gatekeeper.name].ring()
        if counts["types"] and Pauser.name in self._loops:
            self._loops[Pauser.name].ring()

    def _close(self) -> None:
        self.retries.close()
        self.estimator.close()
        if self.crew is not None:
            self.crew.close()
        self.upkeep.close()
        self.leader.resign()
        logger.info("the controller stopped after %s", dict(self.totals))
        self.client.delete(keys.CONTROLLER)
        self.client.close()
        self.publisher.close()
        self.database.close()
