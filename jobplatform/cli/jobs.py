"""The group ``jobs``, of ``jobplatform`` and of ``celery -A jobplatform`` alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import click

from jobplatform.cli.connect import open_database
from jobplatform.cli.exits import mapped
from jobplatform.cli.output import Output, json_option
from jobplatform.cli.parameters import CURSOR, JOB_ID, SINCE
from jobplatform.errors import JobNotFound, TransitionRefused
from jobplatform.states import State
from jobplatform.store import dead_letters, executions, listing, retry_decisions
from jobplatform.store import jobs as job_rows
from jobplatform.store.database import Transaction

_COLUMNS = ("job_id", "job_type", "status", "queue", "attempt", "created_at", "error_type")
_ATTEMPT_COLUMNS = ("attempt_number", "status", "worker_id", "started_at", "completed_at", "error_type")
_DECISION_COLUMNS = ("attempt", "action", "delay_seconds", "decided_by", "reason")
_STATES = click.Choice([str(state) for state in State], case_sensitive=False)
_MISSING = "job {}: there is no such job; see: jobplatform jobs list"

#: Does something to some jobs and tells what it did, by job id; a job that is left out did not allow it.
Verb = Callable[[Transaction, Sequence[str]], Mapping[str, str]]


@click.group(short_help="List, show, retry and cancel jobs.")
def jobs() -> None:
    """List, show, retry and cancel jobs."""


@jobs.command("list")
@click.option("--state", "states", type=_STATES, multiple=True, help="In this state; give it again for more.")
@click.option("--type", "job_type", help="Of this job type.")
@click.option("--queue", help="Of this queue.")
@click.option("--tag", help="With this tag.")
@click.option("--error", "error_type", help="Whose last error is of this type.")
@click.option("--root", "root_id", type=JOB_ID, help="This job and all that it led to.")
@click.option("--since", "created_after", type=SINCE, help="Created since, such as 1h or an ISO time.")
@click.option("--until", "created_before", type=SINCE, help="Created before, such as 1h or an ISO time.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="Jobs on a page.")
@click.option("--page", type=CURSOR, help="The cursor that the page before printed.")
@json_option
@mapped()
def list_jobs(
    limit: int, page: tuple[datetime, str] | None, output: Output, states: tuple[str, ...], **filters: Any
) -> None:
    """List jobs, newest first."""
    chosen = listing.JobFilter(states=tuple(state.upper() for state in states) or None, **filters)
    with open_database() as database, database.session() as session:
        rows = listing.list_jobs(session, chosen, limit + 1, page)
    shown = rows[:limit]
    cursor = CURSOR.write(shown[-1]["created_at"], shown[-1]["job_id"]) if len(rows) > limit else None
    output.page("jobs", shown, _COLUMNS, cursor)


@jobs.command("show")
@click.argument("job_id", type=JOB_ID)
@json_option
@mapped()
def show_job(job_id: str, output: Output) -> None:
    """Show a job, its attempts, and what was decided after each failure."""
    with open_database() as database, database.session() as session:
        job = listing.show_job(session, job_id)
        if job is None:
            raise JobNotFound(_MISSING.format(job_id))
        attempts = executions.of_job(session, job_id)
        decisions = retry_decisions.of_job(session, job_id)
    if output.as_json:
        lists = {"executions": list(map(dict, attempts)), "retry_decisions": list(map(dict, decisions))}
        output.json({**job, **lists})
        return
    output.record(job)
    output.section("attempts", attempts, _ATTEMPT_COLUMNS)
    output.section("retry decisions", decisions, _DECISION_COLUMNS)
    for attempt in attempts[-1:]:
        if attempt["traceback"]:
            output.block(f"traceback of attempt {attempt['attempt_number']}", attempt["traceback"])


@jobs.command("retry")
@click.argument("job_ids", type=JOB_ID, nargs=-1, required=True)
@json_option
@mapped()
def retry_jobs(job_ids: tuple[str, ...], output: Output) -> None:
    """Run jobs now: those that wait for a time at once, those that failed or were cancelled once more."""
    _apply(_retry, job_ids, "only jobs that wait for a time, failed or were cancelled can be retried", output)


@jobs.command("cancel")
@click.argument("job_ids", type=JOB_ID, nargs=-1, required=True)
@click.option("--reason", default="cancelled by hand", show_default=True, help="Kept with the job.")
@json_option
@mapped()
def cancel_jobs(job_ids: tuple[str, ...], reason: str, output: Output) -> None:
    """Cancel jobs: those that wait never start, those that run are told to stop, and are killed if they do not."""

    def cancel(transaction: Transaction, ids: Sequence[str]) -> Mapping[str, str]:
        before = job_rows.cancel(transaction, ids, reason)
        return {
            job_id: "told to stop" if state is State.PROCESSING else "cancelled" for job_id, state in before.items()
        }

    _apply(cancel, job_ids, "only jobs that have not ended can be cancelled", output)


def _retry(transaction: Transaction, ids: Sequence[str]) -> Mapping[str, str]:
    hastened = job_rows.hasten(transaction, ids)
    replayed = job_rows.replay(transaction, ids)
    dead_letters.resolve(transaction, replayed, "replayed")
    return {**dict.fromkeys(hastened, "hastened"), **dict.fromkeys(replayed, "replayed")}


def _apply(verb: Verb, job_ids: Sequence[str], rule: str, output: Output) -> None:
    """Do a verb to some jobs in one transaction, and report what became of each.

    :param rule: which jobs allow it, for the message about those that did not.
    :raises JobNotFound: when no row stands for one of the ids.
    :raises TransitionRefused: when the state of one does not allow it; the others are done all the same.
    """
    with open_database() as database, database.transaction() as transaction:
        done = verb(transaction, list(job_ids))
        rows = [listing.show_job(transaction, job_id) for job_id in dict.fromkeys(job_ids)]
    report = [
        {"job_id": row["job_id"], "outcome": done.get(row["job_id"], "refused"), "status": row["status"]}
        for row in rows
        if row is not None
    ]
    if output.as_json:
        output.json(report)
    elif report:
        output.table(report, ("job_id", "outcome", "status"), empty="")
    for job_id, row in zip(dict.fromkeys(job_ids), rows, strict=True):
        if row is None:
            raise JobNotFound(_MISSING.format(job_id))
    for line in report:
        if line["outcome"] == "refused":
            raise TransitionRefused(f"job {line['job_id']} is {line['status']}; {rule}")
