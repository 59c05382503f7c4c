"""Which jobs a command is about: some by id, or all that match a filter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any

import click

from jobplatform.actions import jobs as job_actions
from jobplatform.actions.actor import Actor
from jobplatform.actions.desk import Desk
from jobplatform.actions.jobs import MISSING
from jobplatform.actions.steering import Chosen, Steered
from jobplatform.cli.desk import open_desk
from jobplatform.cli.output import Output
from jobplatform.cli.parameters import JOB_ID, SINCE
from jobplatform.errors import JobNotFound, TransitionRefused
from jobplatform.states import State
from jobplatform.store.listing import JobFilter

Command = Callable[..., Any]
_STATES = click.Choice([str(state) for state in State], case_sensitive=False)
#: From so many on, who asks is asked back.
_MANY = 100

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


def apply(verb: Callable[..., Steered], jobs: Selection, output: Output, **values: Any) -> None:
    """Do a verb to the selected jobs and report what became of them.

    :raises JobNotFound: when no row stands for one of the ids.
    :raises TransitionRefused: when the state of one of them does not allow it; the others are done all the same.
    """
    with open_desk() as (desk, actor):
        chosen = Chosen(tuple(dict.fromkeys(jobs.job_ids)), jobs.filter)
        if not jobs.job_ids and not jobs.dry_run and not jobs.sure:
            ask_back(verb(desk, actor, chosen, dry_run=True, **values).counts["matching"])
        done = verb(desk, actor, chosen, dry_run=jobs.dry_run, **values)
        if not jobs.job_ids:
            _report(done.counts, output)
            return
        _report_each(desk, actor, done, output)


def ask_back(count: int) -> None:
    """Ask whether to go on with so many jobs.

    :raises click.Abort: when they are not meant.
    """
    if count > _MANY:
        click.confirm(f"{count} jobs match; go on?", abort=True, err=True)


def _report(counts: Mapping[str, int], output: Output) -> None:
    if output.as_json:
        output.json(dict(counts))
    else:
        output.record(counts)


def _report_each(desk: Desk, actor: Actor, done: Steered, output: Output) -> None:
    outcomes = {**done.jobs, **dict.fromkeys(done.refused, "refused")}
    states = job_actions.states(desk, actor, list(outcomes))
    report = [{"job_id": job_id, "outcome": outcome, "status": states[job_id]} for job_id, outcome in outcomes.items()]
    if output.as_json:
        output.json(report)
    elif report:
        output.table(report, ("job_id", "outcome", "status"), empty="")
    for job_id in done.missing:
        raise JobNotFound(MISSING.format(job_id))
    for job_id, status in done.refused.items():
        raise TransitionRefused(f"job {job_id} is {status}; {done.rule}")
