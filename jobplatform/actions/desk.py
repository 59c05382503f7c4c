"""What an action works with, how it looks, and how it changes something so that this is known afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from jobplatform import masking
from jobplatform.actions.actor import Actor
from jobplatform.settings import Settings
from jobplatform.store import audit
from jobplatform.store.audit import Deed
from jobplatform.store.database import Database, Transaction


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Desk:
    """Where actions are done.

    :param redis: opens a connection to the broker; the caller closes it.
    :param application: loads the Celery application with its job types.
    """

    settings: Settings
    database: Database
    redis: Callable[[], Any]
    application: Callable[[], Any]
    now: Callable[[], datetime] = _now

    def __post_init__(self) -> None:
        masking.hide(self.settings.mask_keys, self.settings.secrets)

    @contextmanager
    def look(self) -> Iterator[Transaction]:
        """Open a transaction that changes nothing."""
        with self.database.session() as session:
            yield session

    @contextmanager
    def change(
        self, actor: Actor, action: str, about: Mapping[str, Any], reason: str | None = None
    ) -> Iterator[Change]:
        """Open a transaction that is written down with what it has changed: both are kept, or neither is.

        :param about: what is changed, and how.
        """
        with self.database.transaction() as transaction:
            change = Change(transaction)
            yield change
            audit.add(transaction, deed(actor, action, about, change.outcome, reason))

    @contextmanager
    def stages(
        self, actor: Actor, action: str, about: Mapping[str, Any], reason: str | None = None
    ) -> Iterator[dict[str, Any]]:
        """Write down before and after what takes more than one transaction, also when it ends halfway.

        The block is given the outcome, to be filled.
        """
        outcome: dict[str, Any] = {}
        self.note(actor, action, about, {"asked": True}, reason)
        try:
            yield outcome
        finally:
            self.note(actor, action, about, outcome, reason)

    def note(
        self, actor: Actor, action: str, about: Mapping[str, Any], outcome: Mapping[str, Any], reason: str | None = None
    ) -> None:
        """Write down what was done elsewhere than in one transaction, or was refused."""
        with self.database.transaction() as transaction:
            audit.add(transaction, deed(actor, action, about, outcome, reason))


@dataclass(slots=True)
class Change:
    """A transaction, and what came of it.

    :ivar outcome: to be filled by the action.
    """

    transaction: Transaction
    outcome: dict[str, Any] = field(default_factory=dict)


def deed(
    actor: Actor, action: str, about: Mapping[str, Any], outcome: Mapping[str, Any], reason: str | None = None
) -> Deed:
    """Give what is written down of something that somebody did."""
    return Deed(actor.name, str(actor.via), action, actor.address, about, outcome, reason)
