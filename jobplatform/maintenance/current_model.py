"""The model in force, as this process holds it."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from jobplatform.errors import ModelRefused
from jobplatform.store import models
from jobplatform.store.database import Database

if TYPE_CHECKING:
    from jobplatform.learning.model import Model

logger = logging.getLogger(__name__)


class InForce(NamedTuple):
    """A loaded model, its version, and whether that is active or on trial."""

    version: int
    model: Any
    state: str = "shadow"


def read_retry_model(data: bytes, sha256: str) -> Model:
    """Read a model of retries; only a process that has one needs what runs it."""
    from jobplatform.learning.model import Model

    return Model.from_bytes(data, sha256)


class CurrentModel:
    """Hold the model of the version in force; one thread refreshes it, others ask.

    :param kind: of what it foretells.
    :param read: makes a model of its bytes and their hash.
    """

    def __init__(
        self, database: Database, kind: str = models.RETRY, read: Callable[[bytes, str], Any] = read_retry_model
    ) -> None:
        self.database = database
        self.kind = kind
        self.read = read
        self._loaded: InForce | None = None

    def get(self) -> Any:
        """Give the model, None when there is none."""
        loaded = self._loaded
        return None if loaded is None else loaded.model

    def in_force(self) -> InForce | None:
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
                self._loaded = self._loaded and self._loaded._replace(state=head["state"] if head else "")
                return Counter()
            found = None if version is None else models.artifact(transaction, version)
        if head is None or version is None:
            self._loaded = None
            logger.info("no model is in force; the rule decides")
            return Counter(unloaded=1)
        try:
            if found is None:
                raise ModelRefused("its artifact is not there")
            self._loaded = InForce(version, self.read(*found), head["state"])
        except (ModelRefused, ValueError, KeyError, TypeError) as error:
            return self._retire(version, error)
        logger.info("model %d is in force", version)
        return Counter(loaded=1)

    def _is_loaded(self, version: int | None) -> bool:
        return version == (None if self._loaded is None else self._loaded.version)

    def _retire(self, version: int, error: Exception) -> Counter[str]:
        self._loaded = None
        logger.error("model %d cannot be used and is retired: %s", version, error)
        with self.database.transaction() as transaction:
            models.retire(transaction, version, f"it cannot be used: {error}"[:500])
        return Counter(unusable=1)
