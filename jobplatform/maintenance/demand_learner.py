"""Models of the demand, trained beside the controller every few minutes while that is cheap, and loaded."""

from __future__ import annotations

import logging
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from jobplatform.maintenance.current_model import CurrentModel
from jobplatform.maintenance.training import COMMAND, Training
from jobplatform.settings import Settings
from jobplatform.store import models
from jobplatform.store.database import Database

logger = logging.getLogger(__name__)

#: The program that trains once.
DEMAND_COMMAND = (*COMMAND, models.DEMAND)
#: A training that takes no longer is cheap.
_CHEAP = timedelta(seconds=30)
#: Between the beginnings of two trainings that are cheap, and of others.
_OFTEN, _SELDOM = timedelta(minutes=5), timedelta(hours=1)


class DemandLearner:
    """Train models of demand, and hold the one in force.

    :param training: in a process of its own; ``DEMAND_COMMAND`` says what it runs.
    """

    name = "demand_learner"
    interval = 5.0

    def __init__(self, database: Database, settings: Settings, current: CurrentModel[Any], training: Training) -> None:
        self.database = database
        self.settings = settings
        self.current = current
        self.training = training
        self._pause = _OFTEN

    def run_once(self, now: datetime) -> Counter[str]:
        """Look after the training and the model in force."""
        if self.settings.scaler in ("off", "rule"):
            return Counter()
        counts = self._look_at_training(now)
        counts += self.current.refresh()
        if self.training.pid is None and self._is_due(now):
            self.training.start(now)
            counts["began"] += 1
        return +counts

    def close(self) -> None:
        """End a training that still runs."""
        self.training.kill()

    def _look_at_training(self, now: datetime) -> Counter[str]:
        problem, began = self.training.ended(now), self.training.started
        if problem is None or began is None:
            return Counter()
        self._pause = _OFTEN if now - began <= _CHEAP and not problem else _SELDOM
        if problem:
            # Too few samples at first are no fault; what else it may be is said by the same line.
            logger.info("no model of the demand was made: %s", problem)
            return Counter(failed=1)
        with self.database.transaction() as transaction:
            models.prune(transaction, now, models.DEMAND)
        return Counter(trained=1)

    def _is_due(self, now: datetime) -> bool:
        if self.training.started is not None and now - self.training.started < self._pause:
            return False
        with self.database.transaction() as transaction:
            last = models.last_training(transaction, models.DEMAND)
        return last is None or now - last >= self._pause
