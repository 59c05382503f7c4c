"""Models that learn while the platform runs: trained beside it, tried by job type, watched, and forgotten by age."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from jobplatform.decision import Seen
from jobplatform.learning.drift import drift
from jobplatform.learning.trial import OUTCOMES, Change, State, Trials
from jobplatform.maintenance.current_model import CurrentModel
from jobplatform.maintenance.training import Training
from jobplatform.maintenance.trial_keeper import TrialKeeper
from jobplatform.settings import Settings
from jobplatform.store import models
from jobplatform.store.database import Database, Transaction

logger = logging.getLogger(__name__)

#: Nothing is learned from fewer outcomes.
_LEAST = OUTCOMES
#: Between two looks at drift, and two prunings.
_WATCH = timedelta(minutes=5)
_DRIFT_ROWS = 1_000


def trials_of(settings: Settings) -> Trials:
    """Make the trials that the settings want."""
    return Trials(promotes=settings.retry_model == "auto")


class Learner:
    """Train models when there is something to learn, and let those decide that win.

    Nothing here is waited for by whoever decides: a training is a process of its own, and ``current`` and ``trials``
    answer from memory.

    :param settings: how often to train, and whether at all.
    """

    name = "learner"
    interval = 2.0

    def __init__(
        self, database: Database, settings: Settings, trials: Trials, current: CurrentModel[Any], training: Training
    ) -> None:
        self.database = database
        self.settings = settings
        self.trials = trials
        self.current = current
        self.training = training
        self._keeper = TrialKeeper(trials)
        self._watched: datetime | None = None
        self._warned: set[tuple[int, str]] = set()

    def observe(self, seen: Seen) -> None:
        """Let the trials know what came of decisions."""
        if self.settings.retry_model != "off":
            self.trials.observe(seen.outcomes)

    def run_once(self, now: datetime) -> Counter[str]:
        """Look after the training, the trials, the model in force, and those of the past."""
        if self.settings.retry_model == "off":
            return Counter()
        counts = self._look_at_training(now)
        with self.database.transaction() as transaction:
            changes = self._keeper.keep(transaction, now)
            self._follow(transaction, changes)
        counts["changed"] = len(changes)
        counts += self.current.refresh()
        if self._watched is None or now - self._watched >= _WATCH:
            self._watched = now
            counts += self._watch(now)
        counts["began"] = self._train(now)
        return +counts

    def close(self) -> None:
        """End a training that still runs."""
        self.training.kill()

    def _look_at_training(self, now: datetime) -> Counter[str]:
        problem = self.training.ended(now)
        if problem is None:
            return Counter()
        if problem:
            logger.error("the training failed: %s", problem)
            return Counter(failed=1)
        return Counter(trained=1)

    def _train(self, now: datetime) -> bool:
        if self.training.pid is not None or not self._is_due(now):
            return False
        self.training.start(now)
        return True

    def _is_due(self, now: datetime) -> bool:
        pause = timedelta(seconds=self.settings.train_seconds)
        if self.training.started is not None and now - self.training.started < pause:
            return False
        with self.database.transaction() as transaction:
            last = models.last_training(transaction)
            if last is not None and now - last < pause:
                return False
            every = self.settings.train_every
            enough = models.count_examples(transaction, None, _LEAST) >= _LEAST
            return enough and models.count_examples(transaction, last, every) >= every

    def _follow(self, transaction: Transaction, changes: Sequence[Change]) -> None:
        """Let the model in force be active while a job type is decided on by it."""
        head = models.in_force(transaction)
        active = [each for each in self.trials.standings() if each.state is State.ACTIVE]
        if head is None:
            return
        if active and head["state"] == State.SHADOW:
            models.promote(transaction, head["version"], f"{active[0].job_type} {active[0].reason}")
        left = [change for change in changes if change.before is State.ACTIVE]
        if left and not active and head["state"] == State.ACTIVE:
            models.demote(transaction, head["version"], f"{left[0].after.job_type} {left[0].after.reason}")

    def _watch(self, now: datetime) -> Counter[str]:
        """Warn, once, of what the model in force does not know; and prune."""
        with self.database.transaction() as transaction:
            pruned = models.prune(transaction, now)
            loaded = self.current.in_force()
            row = None if loaded is None else models.show(transaction, loaded.version)
            if row is None:
                return Counter(pruned=pruned)
            recent = models.examples(transaction, row["window_to"], _DRIFT_ROWS)
        found = drift(row["metrics"].get("spreads", {}), recent)
        complaints = [(row["version"], words) for words in (found.complaints() if found else ())]
        for version, words in complaints:
            self._warn(version, words)
        return Counter(pruned=pruned)

    def _warn(self, version: int, words: str) -> None:
        # The number in the words changes with every look.
        key = (version, words.partition(" ")[0])
        if key not in self._warned:
            self._warned.add(key)
            logger.warning("model %d: %s", version, words)
