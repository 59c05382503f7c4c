"""The model in force, as this process holds it."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from jobplatform.errors import ModelRefused
from jobplatform.store import models
from jobplatform.store.database import Database

if TYPE_CHECKING:
    from jobplatform.learning.demand import Demand
    from jobplatform.learning.model import Model

Loaded = TypeVar("Loaded")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class InForce(Generic[Loaded]):
    """A loaded model and its version."""

    version: int
    model: Loaded


class Current(Generic[Loaded]):
    """Hold the model of one kind that is in force; one thread refreshes it, others ask.

    :param load: makes a model of its bytes and their hash.
    :param kind: which of the registry's models.
    """

    def __init__(self, database: Database, load: Callable[[bytes, str], Loaded], kind: str) -> None:
        self.database = database
        self.load = load
        self.kind = kind
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
            if version == (None if self._loaded is None else self._loaded.version):
                return Counter()
            found = None if version is None else models.artifact(transaction, version)
        if version is None:
            self._loaded = None
            logger.info("no model of %s is in force; the rule decides", self.kind)
            return Counter(unloaded=1)
        try:
            if found is None:
                raise ModelRefused("its artifact is not there")
            self._loaded = InForce(version, self.load(*found))
        except (ModelRefused, ValueError, KeyError, TypeError) as error:
            return self._retire(version, error)
        logger.info("model %d is in force", version)
        return Counter(loaded=1)

    def _retire(self, version: int, error: Exception) -> Counter[str]:
        self._loaded = None
        logger.error("model %d cannot be used and is retired: %s", version, error)
        with self.database.transaction() as transaction:
            models.retire(transaction, version, f"it cannot be used: {error}"[:500])
        return Counter(unusable=1)


def load_retry(data: bytes, sha256: str) -> Model:
    """Read a model of retries; only a process that has one needs what runs it."""
    from jobplatform.learning.model import Model

    return Model.from_bytes(data, sha256)


def load_demand(data: bytes, sha256: str) -> Demand:
    """Read a model of demand."""
    from jobplatform.learning.demand import Demand

    return Demand.from_bytes(data, sha256)


class CurrentModel(Current["Model"]):
    """Hold the model of retries that is in force."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, load_retry, models.RETRY)


class CurrentDemand(Current["Demand"]):
    """Hold the model of demand that is in force."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, load_demand, models.DEMAND)
