"""Jobs that were cancelled in their rows, counted where all outcomes are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime

from jobplatform.decision import Moved
from jobplatform.store import cancellations
from jobplatform.store.database import Database


class CancelCounter:
    """Take in what processes noted that cancelled jobs: pages, commands, the dispatcher and settled dependencies.

    :param count: told what was taken, once that is committed.
    """

    name = "cancel counter"
    interval = 2.0

    def __init__(self, database: Database, count: Callable[[Sequence[Moved]], None], batch: int = 1_000) -> None:
        self.database = database
        self.count = count
        self.batch = batch

    def run_once(self, now: datetime) -> Counter[str]:
        """Count one batch."""
        with self.database.transaction() as transaction:
            taken = cancellations.take(transaction, self.batch)
        self.count(taken)
        return +Counter(cancelled=sum(each.jobs for each in taken))
