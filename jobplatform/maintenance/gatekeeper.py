"""Breakers to rows: jobs that are held go on when their breaker says so, and what it decides is kept."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from jobplatform.jobs.breaker import Breaker, BreakerState
from jobplatform.jobs.breakers import Breakers
from jobplatform.store import breakers as rows
from jobplatform.store.database import Database, Transaction

logger = logging.getLogger(__name__)

#: For so long a job is held at most whose failure opened the breaker; and failures of so long ago count as such.
_HOLD_SECONDS, _LOOK_BACK = 6 * 3600.0, timedelta(minutes=15)
_KEPT = timedelta(days=30)
_COLUMNS = ("cause", "state", "reason", "opened_at", "probe_at", "probes", "canary_at")


class Gatekeeper:
    """Let jobs go on that breakers hold.

    :param breakers: None lets all go that is held: breakers are off.
    """

    name = "gatekeeper"
    interval = 1.0

    def __init__(self, database: Database, breakers: Breakers | None) -> None:
        self.database = database
        self.breakers = breakers
        self._is_off = False
        self._known: dict[str, BreakerState] = {}
        self._held_types: dict[str, str] = {}

    def run_once(self, now: datetime) -> Counter[str]:
        """Step all breakers, and write what they decided; most rounds end after two looks into empty indexes."""
        with self.database.transaction() as transaction:
            if self.breakers is None:
                return self._switch_off(transaction)
            self._hear(transaction, self.breakers, now)
            counts = self._release(transaction, self.breakers, now)
            counts += self._keep(transaction, self.breakers.changed(), now)
            counts["types"] = self._hold_types(transaction, self.breakers.held_types())
        return +counts

    def _switch_off(self, transaction: Transaction) -> Counter[str]:
        if self._is_off:
            return Counter()
        released = rows.let_go(transaction)
        rows.hold_types(transaction, {})
        self._is_off = True
        return +Counter(released=released)

    def _hear(self, transaction: Transaction, breakers: Breakers, now: datetime) -> None:
        """Take over what a leader before has left, and what people want."""
        breakers.hear(map(_breaker_of, rows.list_breakers(transaction)), now.timestamp())

    def _release(self, transaction: Transaction, breakers: Breakers, now: datetime) -> Counter[str]:
        types = breakers.held_types()
        released = 0
        for each in breakers.tick(now.timestamp(), rows.held(transaction, now, types)):
            own = [job_type for job_type, cause in types.items() if cause == each.cause]
            released += rows.release(transaction, each.cause, own, now, each.jobs, each.canary, each.begun)
        return Counter(released=released)

    def _keep(self, transaction: Transaction, changed: Sequence[Breaker], now: datetime) -> Counter[str]:
        counts: Counter[str] = Counter()
        for breaker in changed:
            before = self._known.get(breaker.cause, BreakerState.CLOSED)
            self._known[breaker.cause] = breaker.state
            if breaker.state is before:
                continue
            logger.warning("breaker %s is %s: %s", breaker.cause, breaker.state, breaker.reason)
            if before is BreakerState.CLOSED:
                since = now - _LOOK_BACK
                counts["held"] += rows.hold_retrying(transaction, breaker.cause, now, since, _HOLD_SECONDS)
            elif breaker.state is BreakerState.CLOSED:
                counts["released"] += rows.let_go(transaction, [breaker.cause])
        rows.save(transaction, [_row_of(breaker) for breaker in changed])
        if any(breaker.state is BreakerState.CLOSED for breaker in changed):
            rows.prune(transaction, now - _KEPT)
        return counts

    def _hold_types(self, transaction: Transaction, types: dict[str, str]) -> int:
        changed = set(types) ^ set(self._held_types)
        if changed:
            why = "all of its jobs fail of {}; see: jobplatform breakers list"
            rows.hold_types(transaction, {name: why.format(cause) for name, cause in types.items()})
        self._held_types = types
        return len(changed)


def _row_of(breaker: Breaker) -> dict[str, Any]:
    values = asdict(breaker)
    return {**{name: values[name] for name in _COLUMNS}, "job_types": sorted(breaker.job_types)}


def _breaker_of(row: Any) -> Breaker:
    opened = row["opened_at"].timestamp()
    return Breaker(
        row["cause"],
        row["reason"],
        opened,
        row["probe_at"].timestamp() if row["probe_at"] else opened,
        # A release begins again with its canary: who led before had counted what is under way.
        BreakerState.CLOSED if row["state"] == BreakerState.CLOSED else BreakerState.OPEN,
        probes=row["probes"],
        job_types=frozenset(row["job_types"]),
        forced=BreakerState(row["forced"]) if row["forced"] else None,
        forced_by=row["forced_by"],
    )
