"""Jobs that wait for others: a look at what new edges start from, as it may have ended before they were there."""

from __future__ import annotations

import logging
from collections import Counter
from datetime import datetime, timedelta

from jobplatform.store import dependencies
from jobplatform.store.database import Database

logger = logging.getLogger(__name__)

#: Jobs at once.
_BATCH = 200
#: Until what could not be looked at is looked at again.
_AGAIN = timedelta(seconds=1)


class Examiner:
    """Look once at each new edge; from then on, whoever ends the job that it starts from settles it.

    :param patience_seconds: for how long an edge waits for a job that no row stands for; then that counts as failed.
    """

    name = "examiner"
    interval = 0.1

    def __init__(self, database: Database, patience_seconds: float) -> None:
        self.database = database
        self.patience = timedelta(seconds=patience_seconds)

    def run_once(self, now: datetime) -> Counter[str]:
        """Look at one batch; what could not be looked at is due again later."""
        with self.database.transaction() as transaction:
            counts = Counter(dependencies.examine(transaction, _BATCH, _AGAIN, self.patience))
        if counts["missing"]:
            logger.warning(
                "%d jobs that others wait for have not come within %g s, and count as failed",
                counts["missing"], self.patience.total_seconds(),
            )  # fmt: skip
        return +counts
