"""The counts of batches: what jobs have noted is added up, and what batches call back is submitted, each once."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from jobplatform.records import filled
from jobplatform.store import batches, new_jobs, tallies
from jobplatform.store.database import Database, Transaction
from jobplatform.store.tallies import Kept
from jobplatform.tally import Change, Event, Tally

logger = logging.getLogger(__name__)

#: Changes, batches, and jobs to cancel of each state, at once.
_CHANGES = 20_000
_BATCHES = 100
_JOBS = 1_000


class Tallier:
    """Add up what the rows of jobs tell of their batches, and submit the jobs of the events that come of it.

    That an event was noted is written with the row of its job, whose id was given with the batch: it is made once.
    """

    name = "tallier"
    interval = 0.2

    def __init__(self, database: Database) -> None:
        self.database = database

    def run_once(self, now: datetime) -> Counter[str]:
        """Add up what was noted, see which batches are over, and go on cancelling those that are to be cancelled."""
        counts: Counter[str] = Counter()
        outlook = self.database.once(tallies.look_out)
        if outlook.changes:
            with self.database.transaction() as transaction:
                counts += self._add_up(transaction, now)
        if outlook.changes or outlook.ripe:
            with self.database.transaction() as transaction:
                ripe = tallies.ripe(transaction, _BATCHES)
                counts += _call_back(transaction, [(kept, kept.tally.due()) for kept in ripe], now)
        if outlook.cancelling:
            counts += self._cancel()
        return +counts

    def _add_up(self, transaction: Transaction, now: datetime) -> Counter[str]:
        changes = tallies.take(transaction, _CHANGES)
        kept = [
            Kept(tally.changed(changes[tally.batch_id], now), rows)
            for tally, rows in tallies.lock(transaction, changes.keys())
        ]
        for batch_id in changes.keys() - {tally.batch_id for tally, _ in kept}:
            logger.error("batch %s: there is none, but jobs say that they are of it", batch_id)
        failing = [(each, _first_failure(each.tally, changes)) for each in kept]
        counts = _call_back(transaction, failing, now)
        return counts + Counter(tallied=len(changes))

    def _cancel(self) -> Counter[str]:
        with self.database.session() as session:
            found = batches.cancelling(session, _BATCHES)
        counts: Counter[str] = Counter()
        for batch_id, reason in found.items():
            with self.database.transaction() as transaction:
                counts["cancelled"] += batches.cancel_some(transaction, batch_id, reason, _JOBS)
        return counts


def _first_failure(tally: Tally, changes: Mapping[str, Change]) -> list[Event]:
    """Tell whether the first failure was noted; whether a batch is over is not known before all changes are taken."""
    due = tally.due(failing=changes[tally.batch_id].failing)
    return [Event.FAILURE] if Event.FAILURE in due else []


def _call_back(transaction: Transaction, found: Sequence[tuple[Kept, Sequence[Event]]], now: datetime) -> Counter[str]:
    """Write tallies, with the events that they are noted for, and the rows of the jobs of these."""
    if not found:
        return Counter()
    rows = [row for kept, events in found for row in _rows(kept, events, now)]
    if rows:
        new_jobs.insert_values(transaction, rows)
    tallies.write(transaction, [kept.tally.noted(events, now) for kept, events in found])
    counts: Counter[str] = Counter(called_back=len(rows))
    for kept, events in found:
        for event in events:
            counts[event] += 1
            logger.info("batch %s (%s): %s", kept.tally.batch_id, kept.tally.name, event)
    return counts


def _rows(kept: Kept, events: Sequence[Event], now: datetime) -> Iterator[dict[str, Any]]:
    for event in events:
        row = kept.callbacks.get(event)
        if row is not None:
            payload = filled(row["payload"], _values(kept.tally, event))
            yield {**row, "payload": payload, "due_at": now.timestamp()}


def _values(tally: Tally, event: Event) -> dict[str, Any]:
    """Give what the texts in the arguments of a callback stand for."""
    counts = {name: getattr(tally, name) for name in ("total", "completed", "failed", "cancelled")}
    batch = {"batch_id": tally.batch_id, "name": tally.name, "event": str(event), **counts}
    return {"{batch}": batch, **{f"{{{name}}}": value for name, value in batch.items()}}
