"""What can be done with batches: see how far they are, close them, cancel them, and run what failed once more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, NamedTuple

from jobplatform.actions.action import action
from jobplatform.actions.actor import Actor
from jobplatform.actions.desk import Desk
from jobplatform.actions.permission import Permission
from jobplatform.jobs.eta import Eta
from jobplatform.maintenance import prospect
from jobplatform.store import batches as rows
from jobplatform.store import listing
from jobplatform.store.database import Transaction
from jobplatform.store.shapes.batch import Batch, BatchEvent, BatchListed
from jobplatform.store.tallies import tally_of
from jobplatform.tally import Event, progress_of

Row = Mapping[str, Any]

_TIMES = ("created_at", "closed_at", "cancelled_at")


class Page(NamedTuple):
    """A page of batches, and where the next one begins; None when there is none."""

    rows: Sequence[Annotated[Row, BatchListed]]
    next: tuple[datetime, str] | None


class Shown(NamedTuple):
    """How far a batch is, and what became of each of its events."""

    batch: Annotated[Row, Batch]
    events: Sequence[Annotated[Row, BatchEvent]]


@action("batches.list", Permission.JOBS_READ)
def list_batches(
    desk: Desk, actor: Actor, unfinished: bool, limit: int, after: tuple[datetime, str] | None = None
) -> Page:
    """List batches, newest first; their counts lag by a moment.

    :param unfinished: only those that have never finished.
    """
    with desk.look() as session:
        found = rows.listed(session, unfinished, limit + 1, after, actor.scope.queues, actor.scope.tenants)
    page = [_counts(row) for row in found[:limit]]
    return Page(page, (page[-1]["created_at"], page[-1]["batch_id"]) if len(found) > limit else None)


@action("batches.show", Permission.JOBS_READ)
def show_batch(desk: Desk, actor: Actor, batch_id: str) -> Shown:
    """Show how far a batch is, and the jobs that its events have made."""
    with desk.look() as session:
        _find(session, actor, batch_id)
        row, progress = rows.show(session, batch_id)
        events = [_event(session, actor, row, event) for event in Event]
    times = {name: row[name] for name in _TIMES}
    return Shown({**asdict(progress), **times, "cancel_reason": row["cancel_reason"]}, events)


@action("batches.eta", Permission.JOBS_READ)
def eta(desk: Desk, actor: Actor, batch_id: str) -> Eta:
    """Tell when what waits of a batch is done, from what waits before it and how long that is foretold to take."""
    with desk.look() as session:
        _find(session, actor, batch_id)
        _, progress = rows.show(session, batch_id)
        found = prospect.of_batch(session, batch_id, desk.now())
    return found or Eta(None, progress.eta, 0, "none of its jobs waits")


@action("batches.close", Permission.JOBS_STEER, writes=True)
def close(desk: Desk, actor: Actor, batch_id: str) -> None:
    """Close a batch: nobody but its own jobs adds more, and it is over when all of these have ended."""
    with desk.change(actor, "batches.close", {"batch_id": batch_id}) as change:
        _find(change.transaction, actor, batch_id)
        rows.close(change.transaction, batch_id)


@action("batches.cancel", Permission.JOBS_STEER, writes=True)
def cancel(desk: Desk, actor: Actor, batch_id: str, reason: str) -> bool:
    """Cancel a batch: the controller cancels what has not ended of it, also what its jobs still add.

    Tells whether it had not finished.
    """
    with desk.change(actor, "batches.cancel", {"batch_id": batch_id}, reason) as change:
        _find(change.transaction, actor, batch_id)
        done = rows.cancel(change.transaction, batch_id, reason)
        change.outcome["cancelling"] = done
    return done


@action("batches.retry_failed", Permission.JOBS_STEER, writes=True)
def retry_failed(desk: Desk, actor: Actor, batch_id: str) -> int:
    """Run the failed jobs of a batch once more; when all have completed then, the success is called back.

    Tells how many do.
    """
    with desk.look() as session:
        _find(session, actor, batch_id)
    with desk.stages(actor, "batches.retry_failed", {"batch_id": batch_id}) as outcome:
        outcome["replayed"] = count = rows.retry_failed(desk.database, batch_id, actor.name)
    return count


def _find(session: Transaction, actor: Actor, batch_id: str) -> None:
    rows.find(session, batch_id, actor.scope.queues, actor.scope.tenants)


def _counts(row: Row) -> dict[str, Any]:
    progress = progress_of(tally_of(row), 0, row["at"])
    shown = {name: value for name, value in asdict(progress).items() if name not in ("running", "waiting")}
    return {**shown, **{name: row[name] for name in _TIMES}}


def _event(session: Transaction, actor: Actor, row: Row, event: Event) -> Row:
    """Tell when an event came, and what became of the job that it made; that is not there when it is out of scope."""
    made = row["callbacks"].get(event, {})
    job = listing.show_job(session, made["job_id"]) if made and row[f"{event}_at"] else None
    if job is not None and not actor.scope.holds(job["queue"], job["tenant"]):
        job = None
    return {
        "event": str(event),
        "at": row[f"{event}_at"],
        "job_type": made.get("job_type"),
        "job_id": job and job["job_id"],
        "status": job and job["status"],
    }
