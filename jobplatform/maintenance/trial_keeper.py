"""The trials of job types, kept as rows: what outcomes decided is written, what operators decided is read."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from jobplatform.learning.trial import Change, Standing, State, Trials
from jobplatform.store import models
from jobplatform.store.database import Transaction

logger = logging.getLogger(__name__)

#: One that kept nothing for so long may have missed outcomes: another controller has led in between.
_MISSED = timedelta(seconds=30)


class TrialKeeper:
    """Keep the trials of this process and the table equal.

    A row that is not as it was written last was changed by somebody else, and counts.
    """

    def __init__(self, trials: Trials) -> None:
        self.trials = trials
        self._written: dict[str, Standing] = {}
        self._kept_at: datetime | None = None

    def keep(self, transaction: Transaction, now: datetime) -> list[Change]:
        """Read what others changed and write what changed here; returns the changes of state since the last time.

        :param now: the time of the store.
        """
        models.lock_trials(transaction)
        rows = {row["job_type"]: _standing_of(row) for row in models.trials(transaction)}
        if self._kept_at is None or now - self._kept_at > _MISSED:
            self.trials.restore(rows.values(), models.last_outcomes(transaction, 2 * self.trials.outcomes))
            self._written = dict(rows)
        self._kept_at = now
        for job_type, row in rows.items():
            if not _is_same(row, self._written.get(job_type)):
                self.trials.adopt(row)
        changes = self._write(transaction, rows)
        for change in changes:
            after = change.after
            logger.warning(
                "model of job type %s: %s -> %s; %s", after.job_type, change.before, after.state, after.reason
            )
        return changes

    def _write(self, transaction: Transaction, rows: Mapping[str, Standing]) -> list[Change]:
        here = {each.job_type: each for each in self.trials.standings()}
        news = [each for each in here.values() if not _is_told(each, rows.get(each.job_type))]
        head = models.in_force(transaction)
        version = None if head is None else head["version"]
        models.write_trials(transaction, [_row_of(each, version) for each in news])
        before = {job_type: each.state for job_type, each in self._written.items()}
        self._written = here
        changes = [Change(before.get(each.job_type, State.SHADOW), each) for each in here.values()]
        return [change for change in changes if change.before is not change.after.state]


def _is_same(row: Standing, written: Standing | None) -> bool:
    """Tell whether a row is as it was written; PostgreSQL rounds times to microseconds."""
    return (
        written is not None
        and (row.state, row.forced) == (written.state, written.forced)
        and abs(row.since - written.since) < 0.001
    )


def _is_told(standing: Standing, row: Standing | None) -> bool:
    return row is not None and _is_same(row, standing) and (row.reason, row.score) == (standing.reason, standing.score)


def _standing_of(row: Mapping[str, Any]) -> Standing:
    values = {name: row[name] for name in ("job_type", "since", "reason", "score", "forced")}
    return Standing(**values, state=State(row["state"]))


def _row_of(standing: Standing, version: int | None) -> dict[str, Any]:
    values = {name: getattr(standing, name) for name in ("job_type", "since", "reason", "score", "forced")}
    return {**values, "state": standing.state, "version": version if standing.state is State.ACTIVE else None}
