"""All that decides on retries, put together."""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence
from dataclasses import replace

from jobplatform.controller.case import LEVELS, groups_of
from jobplatform.controller.policy import Policy
from jobplatform.decision import FailedAttempt, RetryDecision, Seen
from jobplatform.jobs.breakers import Breakers
from jobplatform.learning.history import History
from jobplatform.learning.trial import State, in_control
from jobplatform.maintenance.current_model import of_retries
from jobplatform.maintenance.gatekeeper import Gatekeeper
from jobplatform.maintenance.learner import Learner, trials_of
from jobplatform.maintenance.training import Training
from jobplatform.settings import Settings
from jobplatform.store import retry_decisions
from jobplatform.store.database import Database

logger = logging.getLogger(__name__)

#: Outcomes that a controller which begins to lead remembers.
_REMEMBERED = 50_000


class Retries:
    """The policy, what it knows, and the services that go with it; the mirror asks it and tells it, in one thread."""

    def __init__(self, database: Database, settings: Settings, luck: random.Random) -> None:
        self.database = database
        self.breakers = Breakers() if settings.breakers == "on" else None
        self.memory = History(LEVELS)
        self.trials = trials_of(settings)
        self.current = of_retries(database)
        self.gatekeeper = Gatekeeper(database, self.breakers)
        self.learner = Learner(database, settings, self.trials, self.current, Training(settings))
        explore = 0.0 if settings.retry_model == "off" else settings.retry_explore
        self.policy = Policy(self.breakers, self.memory, self.current.in_force, self._is_learned, explore, luck)
        self._remembers = False

    def decide(self, attempts: Sequence[FailedAttempt]) -> list[RetryDecision]:
        """Decide on attempts that failed."""
        if not self._remembers:
            self._remember()
        return self.policy.decide(attempts)

    def observe(self, seen: Seen) -> None:
        """Learn from what a batch showed; what was held says nothing of delays."""
        self.policy.observe(seen)
        self.learner.observe(replace(seen, outcomes=[each for each in seen.outcomes if each.gate is None]))

    @property
    def is_waited_for(self) -> bool:
        """Whether the gatekeeper has something to do at once."""
        return self.breakers is not None and self.breakers.has_changed

    def close(self) -> None:
        """End what runs beside."""
        self.learner.close()

    def _is_learned(self, job_type: str, job_id: str) -> bool:
        return self.trials.state(job_type) is State.ACTIVE and not in_control(job_id)

    def _remember(self) -> None:
        with self.database.transaction() as transaction:
            outcomes = retry_decisions.last_outcomes(transaction, _REMEMBERED)
        for outcome in outcomes:
            groups = groups_of(outcome, outcome.job_type)
            self.memory.note(groups, outcome.attempt + 1, outcome.at, outcome.succeeded)
        self._remembers = True
        logger.info("%d outcomes of retries are remembered", len(outcomes))
