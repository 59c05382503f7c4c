"""What dead letters leave behind: deleted some time after they were resolved, a batch at a time."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

from jobplatform.store import dead_letters, replays
from jobplatform.store.database import Database


class Pruner:
    """Delete dead letters that were resolved, and replays that ended, long enough ago; an open one stays for ever.

    :param days: how long they are kept.
    :param batch: rows of each kind that one round deletes.
    """

    name = "pruner"
    interval = 60.0

    def __init__(self, database: Database, days: float, batch: int = 1_000) -> None:
        self.database = database
        self.age = timedelta(days=days)
        self.batch = batch

    def run_once(self, now: datetime) -> Counter[str]:
        """Delete one batch of each; the next round follows at once while there is more."""
        before = now - self.age
        counts: Counter[str] = Counter()
        with self.database.transaction() as transaction:
            counts["dead_letters"] = dead_letters.prune(transaction, before, self.batch)
        with self.database.transaction() as transaction:
            counts["replays"] = replays.prune(transaction, before, self.batch)
        return +counts
