"""What samples and verdicts leave behind: deleted by age, a batch at a time."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

from jobplatform.store import samples, verdicts
from jobplatform.store.database import Database


class SamplePruner:
    """Delete samples of workers and queues, and verdicts, that are old enough.

    :param days: how long they are kept.
    :param batch: rows of each kind that one round deletes.
    """

    name = "sample pruner"
    interval = 60.0

    def __init__(self, database: Database, days: float, batch: int = 1_000) -> None:
        self.database = database
        self.age = timedelta(days=days)
        self.batch = batch

    def run_once(self, now: datetime) -> Counter[str]:
        """Delete one batch of each; the next round follows at once while there is more."""
        before = now - self.age
        counts: Counter[str] = Counter()
        for name, prune in (
            ("worker_samples", samples.prune_workers),
            ("queue_samples", samples.prune_queues),
            ("verdicts", verdicts.prune),
        ):
            with self.database.transaction() as transaction:
                counts[name] = prune(transaction, before, self.batch)
        return +counts
