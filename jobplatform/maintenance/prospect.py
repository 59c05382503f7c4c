"""When a job, a batch or a workflow is done: what the tables say, put to ``jobs.eta``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from jobplatform.errors import JobNotFound
from jobplatform.jobs import eta
from jobplatform.jobs.eta import Ahead, Eta, Node, Slots, Takes
from jobplatform.states import FINAL, State
from jobplatform.store import graphs, listing, queues_ahead
from jobplatform.store.database import Transaction

#: Jobs of a workflow that are looked at.
_MOST = 10_000

Row = Mapping[str, Any]


def of_job(transaction: Transaction, job_id: str, now: datetime) -> Eta:
    """Tell when a job begins and ends.

    :raises JobNotFound: when there is none of the id.
    """
    job = listing.show_job(transaction, job_id)
    if job is None:
        raise JobNotFound(f"job {job_id}: no row stands for it; see: jobplatform jobs list")
    return _of_row(transaction, job, now)


def of_batch(transaction: Transaction, batch_id: str, now: datetime) -> Eta | None:
    """Tell when what waits of a batch is done; None when nothing of it waits for a worker."""
    last = queues_ahead.last_of_batch(transaction, batch_id)
    return None if last is None else of_job(transaction, last, now)


def of_workflow(transaction: Transaction, job_id: str, now: datetime) -> Eta:
    """Tell when all is done that hangs together with a job by dependencies.

    :raises JobNotFound: when there is none of the id.
    """
    found = {job["job_id"]: tuple(job["after"]) for job in graphs.of_job(transaction, job_id, _MOST)}
    rows = queues_ahead.prospects(transaction, found.keys() | {job_id})
    if job_id not in rows:
        raise JobNotFound(f"job {job_id}: no row stands for it; see: jobplatform jobs list")
    waits: dict[tuple[str, int], Eta] = {}
    for row in sorted(rows.values(), key=lambda row: row["enqueued_at"] or now, reverse=True):
        if row["status"] == State.PENDING and (row["queue"], row["priority"]) not in waits:
            waits[row["queue"], row["priority"]] = _of_row(transaction, row, now)
    nodes = {each: _node(row, found.get(each, ()), waits, now) for each, row in rows.items()}
    left = sum(row["status"] not in FINAL for row in rows.values())
    done = eta.workflow(nodes)
    reason = f"{left:,} of {len(rows):,} jobs are not done"
    return Eta(None, done, 0, reason if done is not None else f"{reason}; how long they take was not foretold")


def _of_row(transaction: Transaction, job: Row, now: datetime) -> Eta:
    state, takes = State(job["status"]), takes_of(job)
    if state in FINAL:
        return Eta(None, None, 0, f"it is {state.lower()}")
    if state is State.PROCESSING:
        return eta.running(takes, _since(job["started_at"], now))
    if state in (State.PAUSED, State.BLOCKED):
        words = (
            "it is paused" if state is State.PAUSED else "it waits for other jobs; see: jobplatform jobs eta --workflow"
        )
        return Eta(None, None, 0, words)
    due = job.get("due_at") or job.get("scheduled_at")
    not_before = max(0.0, -_since(due, now)) if state is not State.PENDING and due else 0.0
    return eta.waiting(takes, *_before(transaction, job, now), not_before)


def _before(transaction: Transaction, job: Row, now: datetime) -> tuple[Ahead, Slots]:
    """Read what is handed out before a job, and by whom; other queues of the same workers are in its way as well."""
    workers = [row for row in queues_ahead.slots(transaction) if job["queue"] in (row["queues"] or ())]
    queues = {job["queue"], *(queue for row in workers for queue in row["queues"])}
    ahead = queues_ahead.ahead(transaction, queues, job["priority"], job["enqueued_at"] or now)
    busy = queues_ahead.running(transaction, queues)
    return Ahead(**ahead), Slots(sum(row["slots"] for row in workers), _left(busy, now))


def _left(busy: Sequence[Row], now: datetime) -> list[float | None]:
    found = [(takes_of(row), _since(row["started_at"], now)) for row in busy]
    return [None if takes is None else takes.left(passed) for takes, passed in found]


def _node(row: Row, after: tuple[str, ...], waits: Mapping[tuple[str, int], Eta], now: datetime) -> Node:
    state, takes = State(row["status"]), takes_of(row)
    if state in FINAL:
        return Node(after, 0.0, None)
    if state is State.PROCESSING:
        return Node(after, eta.running(takes, _since(row["started_at"], now)).done_in, None)
    begins = waits[row["queue"], row["priority"]].starts_in if state is State.PENDING else 0.0
    if takes is None or begins is None:
        return Node(after, None, None)
    return Node(after, None, begins + takes.p50)


def takes_of(row: Row) -> Takes | None:
    """Give what is foretold of a job, None when nothing is."""
    if row["predicted_p50"] is None:
        return None
    return Takes(row["predicted_p10"], row["predicted_p50"], row["predicted_p90"])


def _since(moment: datetime | None, now: datetime) -> float:
    return 0.0 if moment is None else (now - moment).total_seconds()
