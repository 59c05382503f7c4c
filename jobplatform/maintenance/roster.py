"""The workers that are alive, copied from their heartbeats into rows."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any

from jobplatform.store import workers
from jobplatform.store.database import Database
from jobplatform.transport import census, keys
from jobplatform.transport.census import Heartbeat

#: A worker that is silent for so many times the stale time is forgotten in Redis; its row stays.
_FORGET = 20


class Roster:
    """Keep the table of workers up with their heartbeats, all of them in one statement.

    :param client: a Redis client.
    :param stale_seconds: a worker that is silent for so long counts as dead.
    """

    name = "roster"

    def __init__(self, database: Database, client: Any, stale_seconds: float) -> None:
        self.database = database
        self.client = client
        self.stale_seconds = stale_seconds
        self.interval = stale_seconds / 3

    def run_once(self, now: datetime) -> Counter[str]:
        """Copy all heartbeats; those that stopped are shown as stale, and those that said goodbye as gone."""
        clock = census.clock(self.client)
        found = census.heartbeats(self.client)
        rows = [_row(node, said, clock - said.at > self.stale_seconds) for node, said in found.items()]
        with self.database.transaction() as transaction:
            workers.record(transaction, rows, datetime.fromtimestamp(clock - self.stale_seconds, UTC))
        forgotten = [
            node
            for node, said in found.items()
            if said.report.get("gone") or clock - said.at > _FORGET * self.stale_seconds
        ]
        if forgotten:
            self.client.hdel(keys.WORKERS, *forgotten)
        return Counter()


def _row(node: str, said: Heartbeat, silent: bool) -> dict[str, Any]:
    report = said.report
    return {
        "worker_id": node,
        "name": report.get("name", node),
        "pid": report.get("pid"),
        "status": "gone" if report.get("gone") else "stale" if silent else "alive",
        "started_at": report.get("started_at"),
        "last_seen_at": said.at,
        "report": report,
    }
