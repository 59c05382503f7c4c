"""What a batch of the journal says about decisions that were made before, and what it showed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from jobplatform.decision import Moved, Outcome, Seen
from jobplatform.journal.collapse import News, Rows
from jobplatform.journal.entry import Entry, Kind
from jobplatform.states import FINAL, State


def ends_of(news: News, rows: Rows) -> list[dict[str, Any]]:
    """List the ends of attempts that may settle a decision: those of later attempts, and of jobs that were decided on.

    An attempt that was interrupted or cancelled says nothing of how the next one after a failure goes.
    """
    ended = {row["job_id"]: str(row["status"]) for row in rows.jobs if row["status"] in FINAL}
    decided = {failed.job_id for failed in rows.failures}
    return [
        _end(entry, ended.get(entry.job_id))
        for entry in news.attempts.values()
        if _tells(entry) and (entry.attempt > 1 or (entry.job_id in decided and entry.job_id in ended))
    ]


def _tells(entry: Entry) -> bool:
    if entry.kind is Kind.FAILED:
        error = entry.error or {}
        return not (error.get("interrupted") or error.get("unstarted"))
    return entry.kind is Kind.COMPLETED


def _end(entry: Entry, ended: str | None) -> dict[str, Any]:
    return {
        "job_id": entry.job_id,
        "attempt": entry.attempt,
        "outcome": "succeeded" if entry.kind is Kind.COMPLETED else "failed",
        "started_at": entry.started if entry.started is not None else entry.at,
        "at": entry.at,
        "ended": ended,
    }


def seen(rows: Rows, moved: Sequence[Moved], outcomes: Sequence[Outcome]) -> Seen:
    """Sum up what a batch showed."""
    completed: Counter[str] = Counter()
    for each in moved:
        if each.status == State.COMPLETED:
            completed[each.job_type] += each.jobs
    return Seen(_latest(rows), completed, rows.failures, outcomes, list(_runs(rows)), moved)


def _runs(rows: Rows) -> Iterator[tuple[str, float]]:
    """Give the attempts that succeeded, each with the seconds that it took."""
    for row in rows.executions:
        if row["status"] == State.COMPLETED and "run" in row["metrics"]:
            yield row["job_id"], row["metrics"]["run"]


def _latest(rows: Rows) -> float:
    times: Iterable[float] = (row["completed_at"] or row["started_at"] or 0.0 for row in rows.executions)
    return max(times, default=0.0)
