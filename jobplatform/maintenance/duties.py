"""What workers are asked to do, copied from their rows to where their heartbeats hear it."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

from jobplatform.store import duties
from jobplatform.store.database import Database
from jobplatform.transport import keys, replica
from jobplatform.transport.duty import Duty, Order

#: The field that is there whenever Redis knows what all workers are asked to do.
_KNOWN = {"": "1"}


class Duties:
    """Keep Redis up with what the rows of workers ask of them, also after it was emptied.

    :param client: a Redis client.
    """

    name = "duties"
    interval = 1.0

    def __init__(self, database: Database, client: Any) -> None:
        self.database = database
        self.client = client

    def run_once(self, now: datetime) -> Counter[str]:
        """Write what differs; most rounds end after one look into an index that is empty."""
        with self.database.transaction() as transaction:
            asked = duties.asked(transaction)
        wanted = _KNOWN | {row["worker_id"]: Order(Duty(row["duty"]), row["duty_grace"]).text() for row in asked}
        known = replica.read(self.client, keys.DUTIES)
        if known != wanted:
            replica.replace(self.client, keys.DUTIES, wanted)
        return +Counter(told=len(set(wanted.items()) ^ set(known.items())))
