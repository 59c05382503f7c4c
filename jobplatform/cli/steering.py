"""The commands of the group ``jobs`` that change jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import click

from jobplatform.cli.exits import mapped
from jobplatform.cli.holding import holding, operator
from jobplatform.cli.output import Output, json_option
from jobplatform.cli.selection import Selection, apply, selecting
from jobplatform.states import UNFINISHED, WAITING, State
from jobplatform.store import dead_letters, holds
from jobplatform.store import jobs as job_rows
from jobplatform.store.database import Transaction
from jobplatform.store.pauses import Hold

_PAUSABLE = (State.PENDING, State.SCHEDULED, State.RETRYING, State.PROCESSING)
_MOVABLE = (*sorted(WAITING), State.RETRYING)


@click.command("retry")
@selecting
@json_option
@mapped()
def retry_jobs(jobs: Selection, output: Output) -> None:
    """Run jobs now: those that wait for a time at once, those that failed or were cancelled once more.

    A filter that names no state means those that wait for a retry, and those that failed.
    """
    rule = "only jobs that wait for a time, failed or were cancelled can be retried"
    apply(_retry, jobs, (State.RETRYING, State.FAILED), rule, output)


@click.command("cancel")
@selecting
@click.option("--reason", default="cancelled by hand", show_default=True, help="Kept with the job.")
@click.option("--cascade", is_flag=True, help="Also what the jobs have submitted, and what that has.")
@json_option
@mapped()
def cancel_jobs(jobs: Selection, reason: str, cascade: bool, output: Output) -> None:
    """Cancel jobs: those that wait never start, those that run are told to stop, and are killed if they do not."""

    def cancel(transaction: Transaction, ids: Sequence[str]) -> Mapping[str, str]:
        meant = holds.descendants(transaction, ids) if cascade else ids
        before = job_rows.cancel(transaction, meant, reason)
        return {
            job_id: "told to stop" if state is State.PROCESSING else "cancelled" for job_id, state in before.items()
        }

    apply(cancel, jobs, sorted(UNFINISHED), "only jobs that have not ended can be cancelled", output)


@click.command("pause")
@selecting
@holding
@json_option
@mapped()
def pause_jobs(jobs: Selection, hold: Hold, output: Output) -> None:
    """Pause jobs: those that wait do not start, those that run stop at their next checkpoint."""

    def pause(transaction: Transaction, ids: Sequence[str]) -> Mapping[str, str]:
        before = holds.pause(transaction, ids, hold)
        return {job_id: "asked to pause" if state is State.PROCESSING else "paused" for job_id, state in before.items()}

    apply(pause, jobs, _PAUSABLE, "only jobs that wait or run can be paused", output)


@click.command("resume")
@selecting
@json_option
@mapped()
def resume_jobs(jobs: Selection, output: Output) -> None:
    """Let paused jobs go on, also those that are parked since no worker knew their type."""

    def resume(transaction: Transaction, ids: Sequence[str]) -> Mapping[str, str]:
        return dict.fromkeys(holds.resume(transaction, ids), "resumed")

    apply(resume, jobs, (State.PAUSED,), "only jobs that are paused can be resumed", output)


@click.command("move")
@selecting
@click.option("--to", "queue", metavar="QUEUE", help="The queue to put them in.")
@click.option("--priority", type=click.IntRange(1, 5), help="Their new priority; 5 is the most urgent.")
@json_option
@mapped()
def move_jobs(jobs: Selection, queue: str | None, priority: int | None, output: Output) -> None:
    """Change the queue or the priority of jobs that have not begun."""
    if queue is None and priority is None:
        raise click.UsageError("nothing says where to move them; give --to or --priority")

    def move(transaction: Transaction, ids: Sequence[str]) -> Mapping[str, str]:
        return dict.fromkeys(holds.move(transaction, ids, queue, priority), "moved")

    apply(move, jobs, _MOVABLE, "only jobs that have not begun, and are not there already, can be moved", output)


def _retry(transaction: Transaction, ids: Sequence[str]) -> Mapping[str, str]:
    hastened = job_rows.hasten(transaction, ids)
    replayed = dead_letters.replay(transaction, ids, operator())
    return {**dict.fromkeys(hastened, "hastened"), **dict.fromkeys(replayed, "replayed")}


COMMANDS = (retry_jobs, cancel_jobs, pause_jobs, resume_jobs, move_jobs)
