"""Old rows of the audit log into files, and out of the table, so that what is left is one chain still."""

from __future__ import annotations

from datetime import datetime, timedelta

from jobplatform.maintenance.job_files import JobFiles
from jobplatform.store import audit_seals
from jobplatform.store.database import Database


class AuditPruner:
    """Take rows that are old enough out of the audit log; without files, or an end, it does nothing.

    A role that may delete these rows is needed, which the controller's is not: somebody asks for it.

    :param days: for how long rows are kept; infinity for ever.
    """

    def __init__(self, database: Database, days: float, files: JobFiles | None, batch: int = 1_000) -> None:
        self.database = database
        self.days = days
        self.files = files
        self.batch = batch

    def run(self, now: datetime) -> int:
        """Take out all that is old enough, a batch a transaction; returns how many rows."""
        gone = 0
        while count := self._batch(now):
            gone += count
        return gone

    def _batch(self, now: datetime) -> int:
        if self.files is None or self.days == float("inf"):
            return 0
        with self.database.transaction() as transaction:
            over = audit_seals.oldest(transaction, now - timedelta(days=self.days), self.batch)
            if not over:
                return 0
            file = self.files.append([deed.line for deed in over], now)
            return audit_seals.take_out(transaction, over[-1], file)

    def close(self) -> None:
        """Close the file."""
        if self.files is not None:
            self.files.close()
