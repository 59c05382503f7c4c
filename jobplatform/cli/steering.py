"""The commands of the group ``jobs`` that change jobs."""

from __future__ import annotations

import click

from jobplatform.actions import jobs as actions
from jobplatform.cli.exits import mapped
from jobplatform.cli.holding import holding
from jobplatform.cli.output import Output, json_option
from jobplatform.cli.selection import Selection, apply, selecting
from jobplatform.store.pauses import Hold


@click.command("retry")
@selecting
@json_option
@mapped()
def retry_jobs(jobs: Selection, output: Output) -> None:
    """Run jobs now: those that wait for a time at once, those that failed or were cancelled once more.

    A filter that names no state means those that wait for a retry, and those that failed.
    """
    apply(actions.retry, jobs, output)


@click.command("cancel")
@selecting
@click.option("--reason", default="cancelled by hand", show_default=True, help="Kept with the job.")
@click.option("--cascade", is_flag=True, help="Also what the jobs have submitted, and what that has.")
@json_option
@mapped()
def cancel_jobs(jobs: Selection, reason: str, cascade: bool, output: Output) -> None:
    """Cancel jobs: those that wait never start, those that run are told to stop, and are killed if they do not."""
    apply(actions.cancel, jobs, output, reason=reason, cascade=cascade)


@click.command("pause")
@selecting
@holding
@json_option
@mapped()
def pause_jobs(jobs: Selection, hold: Hold, output: Output) -> None:
    """Pause jobs: those that wait do not start, those that run stop at their next checkpoint."""
    apply(actions.pause, jobs, output, hold=hold)


@click.command("resume")
@selecting
@json_option
@mapped()
def resume_jobs(jobs: Selection, output: Output) -> None:
    """Let paused jobs go on, also those that are parked since no worker knew their type."""
    apply(actions.resume, jobs, output)


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
    apply(actions.move, jobs, output, queue=queue, priority=priority)


COMMANDS = (retry_jobs, cancel_jobs, pause_jobs, resume_jobs, move_jobs)
