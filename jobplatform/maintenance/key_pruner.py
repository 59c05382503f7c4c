"""Idempotency keys that count no more: deleted, a batch at a time."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

from jobplatform.store import idempotency
from jobplatform.store.database import Database

#: A submission that the journal has kept for so long still finds the key that was used before it.
_GRACE = timedelta(hours=1)


class KeyPruner:
    """Delete keys whose time is over.

    :param batch: keys that one round deletes.
    """

    name = "key pruner"
    interval = 60.0

    def __init__(self, database: Database, batch: int = 1_000) -> None:
        self.database = database
        self.batch = batch

    def run_once(self, now: datetime) -> Counter[str]:
        """Delete one batch; the next round follows at once while there is more."""
        with self.database.transaction() as transaction:
            return +Counter(pruned=idempotency.prune(transaction, now - _GRACE, self.batch))
