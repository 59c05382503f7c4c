"""The workers that are alive, copied from their heartbeats into rows."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from typing import Any

from jobplatform.store import workers
from jobplatform.store.database import Database
from jobplatform.transport import keys

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
        seconds, micros = self.client.time()
        clock = seconds + micros / 1e6
        rows, forgotten = [], []
        for node, value in self.client.hgetall(keys.WORKERS).items():
            at, _, report = value.decode().partition(" ")
            silent = clock - float(at)
            rows.append(_row(node.decode(), float(at), json.loads(report), silent > self.stale_seconds))
            if silent > _FORGET * self.stale_seconds:
                forgotten.append(node)
        with self.database.transaction() as transaction:
            workers.record(transaction, rows)
        if forgotten:
            self.client.hdel(keys.WORKERS, *forgotten)
        return Counter()


def _row(node: str, at: float, report: dict[str, Any], stale: bool) -> dict[str, Any]:
    return {
        "worker_id": node,
        "name": report.get("name", node),
        "pid": report.get("pid"),
        "status": "stale" if stale else "alive",
        "started_at": report.get("started_at"),
        "last_seen_at": at,
        "report": report,
    }
