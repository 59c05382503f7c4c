"""Job types that take much memory, looked for in what is known of attempts, and kept for those who submit."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import asdict
from datetime import datetime

from jobplatform.store import hungry, samples
from jobplatform.store.database import Database
from jobplatform.workers.hunger import hungry_types

logger = logging.getLogger(__name__)

#: Attempts that are looked at: the newest.
ATTEMPTS = 20_000


class HungerWatch:
    """Keep in rows which job types take much memory; a submission sends their jobs to the queue that they declare."""

    name = "hunger watch"
    interval = 300.0

    def __init__(self, database: Database) -> None:
        self.database = database

    def run_once(self, now: datetime) -> Counter[str]:
        """Look at the newest attempts, write what is hungry, and forget what has not been for long."""
        with self.database.transaction() as transaction:
            found = hungry_types(samples.peaks(transaction, ATTEMPTS))
            new = hungry.write(transaction, [asdict(each) for each in found], now)
            forgotten = hungry.forget(transaction, now)
        for each in found:
            if each.job_type in new:
                logger.warning("%s", each.words())
        return +Counter(hungry=len(new), forgotten=forgotten)
