"""The model of failing workers: trained beside the platform when there is news, and held."""

from __future__ import annotations

import logging
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from jobplatform.maintenance.current_model import of_health
from jobplatform.maintenance.training import COMMAND, Training
from jobplatform.settings import Settings
from jobplatform.store import models, samples
from jobplatform.store.database import Database

logger = logging.getLogger(__name__)

HEALTH_COMMAND = (*COMMAND, models.HEALTH)
#: So many new samples are news.
_NEWS = 200
_LONG_AGO = timedelta(days=3_650)


class HealthLearner:
    """Train a model of failing workers every hour in which workers were sampled, and hold the one in force.

    :param settings: how often to train, and whether at all.
    """

    name = "health learner"
    interval = 5.0

    def __init__(self, database: Database, settings: Settings, training: Training | None = None) -> None:
        self.database = database
        self.settings = settings
        self.training = training or Training(settings, HEALTH_COMMAND)
        self.current = of_health(database)

    def in_force(self) -> tuple[int, Any, bool] | None:
        """Give the version in force, its model, and whether it may decide; None when there is none."""
        loaded = self.current.in_force()
        if loaded is None:
            return None
        return loaded.version, loaded.model, loaded.state == "active" and self.settings.health_model == "auto"

    def run_once(self, now: datetime) -> Counter[str]:
        """Look after the training, the model in force and those of the past."""
        if self.settings.health_model == "off":
            return Counter()
        problem = self.training.ended(now)
        counts = Counter(failed=bool(problem), trained=problem == "")
        if problem:
            # That no worker has failed yet is no fault.
            logger.warning("no health model was made: %s", problem)
        counts += self.current.refresh()
        if self.training.pid is None and self._is_due(now):
            self.training.start(now)
            counts["began"] = 1
        return +counts

    def close(self) -> None:
        """End a training that still runs."""
        self.training.kill()

    def _is_due(self, now: datetime) -> bool:
        pause = timedelta(seconds=self.settings.health_train_seconds)
        if self.training.started is not None and now - self.training.started < pause:
            return False
        with self.database.transaction() as transaction:
            last = models.last_training(transaction, models.HEALTH)
            if last is not None and now - last < pause:
                return False
            models.prune(transaction, now, models.HEALTH)
            return samples.count_newer(transaction, last or now - _LONG_AGO, _NEWS) >= _NEWS
