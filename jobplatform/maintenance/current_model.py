"""The models in force, loaded once each and kept until others are."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from jobplatform.errors import ModelRefused
from jobplatform.store import models
from jobplatform.store.database import Database

if TYPE_CHECKING:
    from jobplatform.learning.decay_model import DecayModel
    from jobplatform.learning.demand import Demand
    from jobplatform.learning.duration import DurationModel
    from jobplatform.learning.model import Model

Loaded = TypeVar("Loaded")

logger = logging.getLogger(__name__)


class InForce(NamedTuple, Generic[Loaded]):
    """A loaded model, its version, and whether it decides (``active``) or is on trial (``shadow``)."""

    version: int
    model: Loaded
    state: str = "shadow"


class CurrentModel(Generic[Loaded]):
    """Hold the model of one kind that is in force; one thread refreshes it, others ask.

    :param kind: of the models.
    :param read: makes a model of its bytes and the hash that was kept beside them.
    """

    def __init__(self, database: Database, kind: str, read: Callable[[bytes, str], Loaded]) -> None:
        self.database = database
        self.kind = kind
        self.read = read
        self._loaded: InForce[Loaded] | None = None

    def get(self) -> Loaded | None:
        """Give the model, None when there is none."""
        loaded = self._loaded
        return None if loaded is None else loaded.model

    def in_force(self) -> InForce[Loaded] | None:
        """Give the model with its version, None when there is none."""
        return self._loaded

    def forget(self) -> None:
        """Hold none."""
        self._loaded = None

    def refresh(self) -> Counter[str]:
        """Load the version in force, if it is another one; what cannot be used is retired."""
        with self.database.transaction() as transaction:
            head = models.in_force(transaction, self.kind)
            version = None if head is None else int(head["version"])
            if self._is_loaded(version):
                if head is not None and self._loaded is not None:
                    self._loaded = self._loaded._replace(state=head["state"])
                return Counter()
            found = None if version is None else models.artifact(transaction, version)
        if head is None or version is None:
            self._loaded = None
            logger.info("no %s model is in force; the rule decides", self.kind)
            return Counter(unloaded=1)
        try:
            if found is None:
                raise ModelRefused("its artifact is not there")
            self._loaded = InForce(version, self.read(*found), head["state"])
        except (ModelRefused, ValueError, KeyError, TypeError) as error:
            return self._retire(version, error)
        logger.info("%s model %d is in force", self.kind, version)
        return Counter(loaded=1)

    def _is_loaded(self, version: int | None) -> bool:
        return version == (None if self._loaded is None else self._loaded.version)

    def _retire(self, version: int, error: Exception) -> Counter[str]:
        self._loaded = None
        logger.error("model %d cannot be used and is retired: %s", version, error)
        with self.database.transaction() as transaction:
            models.retire(transaction, version, f"it cannot be used: {error}"[:500])
        return Counter(unusable=1)


def of_retries(database: Database) -> CurrentModel[Model]:
    """Hold the model of retries; only a process that has one needs what runs it."""

    def read(data: bytes, sha256: str) -> Model:
        from jobplatform.learning.model import Model

        return Model.from_bytes(data, sha256)

    return CurrentModel(database, models.RETRY, read)


def of_demand(database: Database) -> CurrentModel[Demand]:
    """Hold the model of demand."""

    def read(data: bytes, sha256: str) -> Demand:
        from jobplatform.learning.demand import Demand

        return Demand.from_bytes(data, sha256)

    return CurrentModel(database, models.DEMAND, read)


def of_health(database: Database) -> CurrentModel[DecayModel]:
    """Hold the model of failing workers."""

    def read(data: bytes, sha256: str) -> DecayModel:
        from jobplatform.learning.decay_model import DecayModel

        return DecayModel.from_bytes(data, sha256)

    return CurrentModel(database, models.HEALTH, read)


def of_durations(database: Database) -> CurrentModel[DurationModel]:
    """Hold the model of how long jobs take."""

    def read(data: bytes, sha256: str) -> DurationModel:
        from jobplatform.learning.duration import DurationModel

        return DurationModel.from_bytes(data, sha256)

    return CurrentModel(database, models.DURATION, read)
