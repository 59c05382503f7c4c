"""Parked jobs back to their queues, as soon as a worker that knows their type is alive."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from jobplatform.store import parked, workers
from jobplatform.store.database import Database, Transaction


class Releaser:
    """Make parked jobs due.

    A worker that shares the queue and does not know the type may take the message again; then the job is parked again,
    and waits longer each time.

    :param ask_workers: whether workers report which types they know; where none does, jobs are released on trial.
    :param limit: jobs released at once for workers that are alike.
    """

    name = "releaser"
    interval = 2.0

    def __init__(self, database: Database, ask_workers: bool, limit: int = 500) -> None:
        self.database = database
        self.ask_workers = ask_workers
        self.limit = limit

    def run_once(self, now: datetime) -> Counter[str]:
        """Release what can run; most rounds end after one look into an index that is empty."""
        with self.database.transaction() as transaction:
            if not parked.any_parked(transaction):
                return Counter()
            return +Counter(released=self._release(transaction, now))

    def _release(self, transaction: Transaction, now: datetime) -> int:
        skills = workers.skills(transaction, cordoned=False) if self.ask_workers else [(None, None)]
        return sum(parked.release(transaction, types, queues, now, self.limit) for types, queues in skills)
