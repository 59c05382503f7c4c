"""What job types take, told to processes that have not their code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from jobplatform.store import job_types
from jobplatform.store.database import Database

#: A type that no controller has told of for so long is forgotten.
_RETENTION = timedelta(days=30)


class TypePublisher:
    """Write down the job types of the application; what is written already costs a look.

    :param rows: as ``jobs.published`` gives them.
    """

    name = "type publisher"
    interval = 60.0

    def __init__(self, database: Database, rows: Sequence[Mapping[str, Any]]) -> None:
        self.database = database
        self.rows = rows

    def run_once(self, now: datetime) -> Counter[str]:
        """Write what is new, and forget what nobody tells of."""
        with self.database.transaction() as transaction:
            job_types.publish(transaction, self.rows, now)
            job_types.prune(transaction, now - _RETENTION)
        return Counter()
