"""Jobs that wait for others: a look at what new edges start from, as it may have ended before they were there."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

from jobplatform.store import dependencies
from jobplatform.store.database import Database

#: Jobs at once.
_BATCH = 200
#: Until what could not be looked at is looked at again.
_AGAIN = timedelta(seconds=1)


class Examiner:
    """Look once at each new edge; from then on, whoever ends the job that it starts from settles it."""

    name = "examiner"
    interval = 0.1

    def __init__(self, database: Database) -> None:
        self.database = database

    def run_once(self, now: datetime) -> Counter[str]:
        """Look at one batch; what could not be looked at is due again later."""
        with self.database.transaction() as transaction:
            return Counter(dependencies.examine(transaction, _BATCH, _AGAIN))
