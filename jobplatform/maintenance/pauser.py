"""What is paused, written to Redis for those who hand out messages, and resumed when its time has come."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from jobplatform.store import pauses
from jobplatform.store.database import Database
from jobplatform.store.pauses import Scope
from jobplatform.transport import keys, replica
from jobplatform.transport.publisher import ring

logger = logging.getLogger(__name__)


class Pauser:
    """Keep Redis up with the table of pauses; a Redis that lost what it knew of them is told again.

    :param client: a Redis client.
    """

    name = "pauser"
    interval = 1.0

    def __init__(self, database: Database, client: Any) -> None:
        self.database = database
        self.client = client

    def run_once(self, now: datetime) -> Counter[str]:
        """End the pauses whose time has come, and write those that are left."""
        with self.database.transaction() as transaction:
            ended = pauses.end_due(transaction)
            left = pauses.list_pauses(transaction)
        for scope, name in ended:
            logger.info("%s %s is resumed, as its time has come", scope, name)
        wanted = {f"{row['scope']}:{row['name']}": row["reason"] for row in left}
        known = replica.read(self.client, keys.PAUSED)
        if wanted != known:
            resumed = sorted(_queues(known) - _queues(wanted))
            bells = (command for queue in resumed for command in ring(queue))
            replica.replace(self.client, keys.PAUSED, wanted, also=bells)
        return +Counter(resumed=len(ended))


def _queues(paused: Iterable[str]) -> set[str]:
    return {name for scope, _, name in (text.partition(":") for text in paused) if scope == Scope.QUEUE}
