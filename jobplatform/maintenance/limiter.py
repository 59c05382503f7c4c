"""Limits, written from their rows to where messages are handed out; and the slots that are held, counted anew."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from jobplatform.limits import Limit
from jobplatform.maintenance.told import whole_run
from jobplatform.store import limits
from jobplatform.store.database import Database
from jobplatform.transport import census, keys, replica
from jobplatform.transport.scripts import RECOUNT

logger = logging.getLogger(__name__)

#: Rounds between two counts of the slots.
_RECOUNT_EVERY = 5
#: Rounds for which workers are told that there are no limits any more, before they are forgotten.
_FAREWELL = 10


class Limiter:
    """Keep Redis up with the tables of limits.

    A Redis that was emptied is told when every worker has told it what it holds: those leases hold slots as well.

    :param client: a Redis client.
    :param stale_seconds: a worker that is silent for so long counts as dead.
    :param declared: the limits that job types declare; None leaves those that are known.
    """

    name = "limiter"
    interval = 1.0

    def __init__(
        self, database: Database, client: Any, stale_seconds: float, declared: Sequence[Limit] | None = ()
    ) -> None:
        self.database = database
        self.client = client
        self.stale_seconds = stale_seconds
        self.declared = declared or ()
        self._has_declared = declared is None
        self._rounds = 0

    def run_once(self, now: datetime) -> Counter[str]:
        """Write what differs, and count the slots anew now and then."""
        wanted = self._wanted()
        known = replica.read(self.client, keys.LIMITS)
        run = known.pop("", None) or whole_run(self.database, self.client)
        if not wanted and not known:
            return Counter()
        if run is None:
            return Counter(waiting=1)
        if not wanted:
            return self._forget(known, run)
        self._rounds += 1
        wanted["stale"] = f"{self.stale_seconds:.9g}"
        if wanted != known:
            return self._write(wanted, run)
        if self._rounds % _RECOUNT_EVERY:
            return Counter()
        wrong = RECOUNT.run(self.client, [keys.LEASES], [0])
        if wrong:
            logger.warning("%d slots did not stand for leases, and were counted anew", wrong)
        return +Counter(recounted=wrong)

    def _wanted(self) -> dict[str, str]:
        with self.database.transaction() as transaction:
            if not self._has_declared:
                limits.declare(transaction, self.declared)
            wanted = limits.rules(transaction)
        self._has_declared = True
        return wanted

    def _write(self, wanted: dict[str, str], run: str) -> Counter[str]:
        recount = ("EVAL", RECOUNT.text, 1, keys.LEASES, 1)
        replica.replace(self.client, keys.LIMITS, {**wanted, "": run}, also=[recount])
        return Counter(written=len(wanted))

    def _forget(self, known: dict[str, str], run: str) -> Counter[str]:
        if "off" not in known:
            self._rounds = 0
            return self._write({"off": "1"}, run)
        self._rounds += 1
        if self._rounds > _FAREWELL and not census.has_lanes(self.client):
            self.client.delete(keys.LIMITS, keys.SLOTS, keys.USED, keys.TOKENS, keys.LANE_LISTS)
        return Counter()
