"""All that watches, judges, replaces and scales workers, put together."""

from __future__ import annotations

from typing import Any

from jobplatform.maintenance import current_model
from jobplatform.maintenance.demand_learner import DEMAND_COMMAND, DemandLearner
from jobplatform.maintenance.health_learner import HealthLearner
from jobplatform.maintenance.training import Training
from jobplatform.service import Service
from jobplatform.settings import Settings
from jobplatform.store.database import Database
from jobplatform.workers.foreteller import Foreteller
from jobplatform.workers.homes import keeper_of
from jobplatform.workers.hunger_watch import HungerWatch
from jobplatform.workers.judge import Judge
from jobplatform.workers.sample_pruner import SamplePruner
from jobplatform.workers.sampler import Sampler
from jobplatform.workers.scaler import Scaler
from jobplatform.workers.watch import Watch
from jobplatform.workers.wish import Wish


class Crew:
    """The services that look after workers.

    :param client: a Redis client.
    """

    def __init__(self, database: Database, client: Any, settings: Settings) -> None:
        self.database = database
        self.client = client
        self.settings = settings
        self.health = HealthLearner(database, settings)
        self.demand = current_model.of_demand(database)
        self.demand_learner = DemandLearner(database, settings, self.demand, Training(settings, DEMAND_COMMAND))
        self.keeper = keeper_of(settings, database, client)

    def services(self) -> list[Service]:
        """List the services that only the leader runs."""
        settings = self.settings
        watch = Watch(self.client, settings.heartbeat_seconds)
        services: list[Service] = [
            Sampler(self.database, watch, settings.sample_seconds, settings.queues),
            Judge(self.database, watch, settings.journal_limit, Foreteller(self.health.in_force)),
            HungerWatch(self.database),
            SamplePruner(self.database, settings.sample_days),
            self.health,
        ]
        if self.keeper is not None:
            services.append(self.keeper)
            if settings.scaler != "off":
                wish = Wish(self.database, settings, Scaler.name)
                services += [self.demand_learner, Scaler(self.database, settings, wish, self.demand.in_force)]
        return services

    def close(self) -> None:
        """End what runs beside, and let go of the fleet."""
        if self.keeper is not None:
            self.keeper.close()
        self.demand_learner.close()
        self.health.close()
