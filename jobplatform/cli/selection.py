"""Which jobs a command is about: some by id, or all that match a filter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any

import click

from jobplatform.cli.connect import open_database
from jobplatform.cli.output import Output
from jobplatform.cli.parameters import JOB_ID, SINCE
from jobplatform.errors import JobNotFound, TransitionRefused
from jobplatform.states import State
from jobplatform.store import listing
from jobplatform.store.database import Database, Transaction
from jobplatform.store.listing import JobFilter

Command = Callable[..., Any]
#: Does something to some jobs and tells what it did, by job id; a job that is left out did not allow it.
Verb = Callable[[Transaction, Sequence[str]], Mapping[str, str]]

MISSING = "job {}: there is no such job; see: jobplatform jobs list"
_STATES = click.Choice([str(state) for state in State], case_sensitive=False)
#: So many jobs are changed in one transaction.
_PAGE = 1_000
#: From so many on, who asks is asked back.
_MANY = 100
_MOST = 10_000_000

_OPTIONS = (
    click.option("--state", "states", type=_STATES, multiple=True, help="In this state; give it again for more."),
    click.option("--type", "job_type", help="Of this job type."),
    click.option("--queue", "in_queue", help="Of this queue."),
    click.option("--tag", help="With this tag."),
    click.option("--error", "error_type", help="Whose last error is of this type."),
    click.option("--root", "root_id", type=JOB_ID, help="This job and all that it led to."),
    click.option("--batch", "batch_id", type=JOB_ID, help="Of this batch."),
    click.option("--since", "created_after", type=SINCE, help="Created since, such as 1h or an ISO time."),
    click.option("--until", "created_before", type=SINCE, help="Created before, such as 1h or an ISO time."),
)
_NAMES = (
    "states", "job_type", "in_queue", "tag", "error_type", "root_id", "batch_id", "created_after", "created_before",
)  # fmt: skip


def filtered(command: Command) -> Command:
    """Add the options of a filter; the command takes a ``JobFilter`` as ``chosen``."""

    @wraps(command)
    def run(**options: Any) -> Any:
        values = {name: options.pop(name) for name in _NAMES}
        states = tuple(state.upper() for state in values.pop("states")) or None
        return command(chosen=JobFilter(states=states, queue=values.pop("in_queue"), **values), **options)

    for option in reversed(_OPTIONS):
        run = option(run)
    return run


@dataclass(frozen=True, slots=True)
class Selection:
    """Jobs by id, or a filter; with ``dry_run`` they are only counted."""

    job_ids: tuple[str, ...]
    filter: JobFilter
    dry_run: bool
    sure: bool

    def __post_init__(self) -> None:
        wide = self.filter == JobFilter(states=self.filter.states)
        if not self.job_ids and wide and not self.filter.states:
            raise click.UsageError("nothing says which jobs; give ids, or a filter such as --type or --queue")
        if self.job_ids and self.filter != JobFilter():
            raise click.UsageError("ids and a filter were given; give one of them")


def selecting(command: Command) -> Command:
    """Add ids, the options of a filter, ``--dry-run`` and ``--yes``; the command takes a ``Selection`` as ``jobs``."""

    @filtered
    @wraps(command)
    def run(*, job_ids: tuple[str, ...], chosen: JobFilter, dry_run: bool, yes: bool, **options: Any) -> Any:
        return command(jobs=Selection(job_ids, chosen, dry_run, yes), **options)

    run = click.option("--yes", is_flag=True, help=f"Do not ask back when there are more than {_MANY}.")(run)
    run = click.option("--dry-run", is_flag=True, help="Change nothing; tell how many match.")(run)
    return click.argument("job_ids", type=JOB_ID, nargs=-1)(run)


def apply(verb: Verb, jobs: Selection, allowed: Sequence[State], rule: str, output: Output) -> None:
    """Do a verb to the selected jobs and report what became of them.

    :param allowed: the states to look in when a filter names none.
    :param rule: which jobs allow the verb, for the message about those that did not.
    :raises JobNotFound: when no row stands for one of the ids.
    :raises TransitionRefused: when the state of one of them does not allow it; the others are done all the same.
    """
    with open_database() as database:
        if jobs.job_ids:
            _apply_to_ids(database, verb, jobs, rule, output)
        else:
            states = jobs.filter.states or tuple(map(str, allowed))
            _apply_to_filter(database, verb, replace(jobs.filter, states=states), jobs, output)


def _apply_to_filter(database: Database, verb: Verb, chosen: JobFilter, jobs: Selection, output: Output) -> None:
    with database.session() as session:
        count = listing.count_jobs(session, chosen, _MOST)
    if jobs.dry_run:
        _report({"matching": count}, output)
        return
    if count > _MANY and not jobs.sure:
        click.confirm(f"{count} jobs match; go on?", abort=True, err=True)
    outcomes: Counter[str] = Counter()
    for page in _pages(database, chosen):
        with database.transaction() as transaction:
            done = verb(transaction, page)
        outcomes.update(done.values())
    _report(outcomes or {"matching": 0}, output)


def _report(counts: Mapping[str, int], output: Output) -> None:
    if output.as_json:
        output.json(dict(counts))
    else:
        output.record(counts)


def _pages(database: Database, chosen: JobFilter) -> Iterator[list[str]]:
    """Give the ids of all matching jobs, page by page; those that come meanwhile are left out."""
    last = None
    while True:
        with database.session() as session:
            found = listing.select_jobs(session, chosen, _PAGE, last)
        if not found:
            return
        yield [job_id for _, job_id in found]
        last = found[-1]


def _apply_to_ids(database: Database, verb: Verb, jobs: Selection, rule: str, output: Output) -> None:
    wanted = list(dict.fromkeys(jobs.job_ids))
    with database.transaction() as transaction:
        done = {} if jobs.dry_run else verb(transaction, wanted)
        names = list(dict.fromkeys([*wanted, *done]))
        rows = {job_id: listing.show_job(transaction, job_id) for job_id in names}
    otherwise = "-" if jobs.dry_run else "refused"
    report = [
        {"job_id": job_id, "outcome": done.get(job_id, otherwise), "status": row["status"]}
        for job_id, row in rows.items()
        if row is not None
    ]
    if output.as_json:
        output.json(report)
    elif report:
        output.table(report, ("job_id", "outcome", "status"), empty="")
    for job_id, row in rows.items():
        if row is None:
            raise JobNotFound(MISSING.format(job_id))
    for line in report:
        if line["outcome"] == "refused":
            raise TransitionRefused(f"job {line['job_id']} is {line['status']}; {rule}")
