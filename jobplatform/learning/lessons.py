"""The trainings of all kinds of models; each loads what it needs alone."""

from __future__ import annotations

import logging
from collections.abc import Callable

from jobplatform.learning.taught import Taught
from jobplatform.settings import Settings
from jobplatform.store import models
from jobplatform.store.database import Database

logger = logging.getLogger(__name__)

Tell = Callable[[str], None]


def teach(kind: str, database: Database, settings: Settings, tell: Tell = logger.info) -> Taught:
    """Train a model of a kind, one of ``store.models.KINDS``, and put it into the registry.

    :param tell: told what is being done.
    :raises NothingLearned: when another training of the kind runs, or there is too little to learn from.
    """
    taught = _LESSONS[kind](database, settings, tell)
    tell(f"{kind} model {taught.version} is {taught.state}: {taught.reason}")
    return taught


def _retry(database: Database, settings: Settings, tell: Tell) -> Taught:
    from jobplatform.learning import lesson

    return lesson.teach(database, tell)


def _duration(database: Database, settings: Settings, tell: Tell) -> Taught:
    from jobplatform.learning import duration_lesson

    return duration_lesson.teach(database, tell)


def _demand(database: Database, settings: Settings, tell: Tell) -> Taught:
    from jobplatform.learning import demand_lesson

    return demand_lesson.teach(database, settings, tell)


def _health(database: Database, settings: Settings, tell: Tell) -> Taught:
    from jobplatform.learning import decay_lesson

    return decay_lesson.teach(database, tell)


_LESSONS = {models.RETRY: _retry, models.DURATION: _duration, models.DEMAND: _demand, models.HEALTH: _health}
