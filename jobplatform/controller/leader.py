"""Which controller leads: the one that holds the advisory lock."""

from __future__ import annotations

import logging
from collections import Counter
from contextlib import ExitStack
from datetime import datetime

from jobplatform.errors import StoreUnavailable
from jobplatform.store import leadership
from jobplatform.store.database import Database, Transaction

logger = logging.getLogger(__name__)


class Leader:
    """Hold the leader's lock on a connection of its own, or keep trying to get it.

    The lock ends with the connection, so a leader that dies is followed within an interval. Two leaders for a moment do
    no harm: every service's work may be done twice.
    """

    name = "leader"
    interval = 1.0

    def __init__(self, database: Database) -> None:
        self.database = database
        self.leads = False
        self._stack = ExitStack()
        self._session: Transaction | None = None

    def run_once(self, now: datetime) -> Counter[str]:
        """Try to lead, or make sure that the lock is still held.

        :raises StoreUnavailable: when the server takes no writes; the next round asks on a new connection.
        """
        try:
            if self._session is None:
                self._session = self._stack.enter_context(self.database.session())
            if leadership.probe(self._session).read_only:
                raise StoreUnavailable(
                    "PostgreSQL takes no writes: it is a standby, or default_transaction_read_only is on; "
                    "make it writable, or point DATABASE_URL to the primary"
                )
            if not self.leads and leadership.try_lead(self._session):
                self.leads = True
                logger.info("this controller leads")
        except Exception:
            self.resign()
            raise
        return Counter()

    def resign(self) -> None:
        """Give the lock up, if it is held."""
        if self.leads:
            logger.warning("this controller no longer leads")
        self.leads = False
        session, self._session = self._session, None
        if session is not None:
            session.connection.invalidate()
        self._stack.close()
