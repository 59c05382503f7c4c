"""Which dead letters a command is about: some by id, or all that match a filter."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import Any

import click

from jobplatform.actions import clusters
from jobplatform.actions.letters import MISSING, Left
from jobplatform.cli.desk import open_desk
from jobplatform.cli.parameters import SINCE
from jobplatform.errors import JobNotFound, TransitionRefused
from jobplatform.store.dead_letters import LetterFilter

Command = Callable[..., Any]

DLQ_ID = click.IntRange(min=1, max=2**63 - 1)

_OPTIONS = (
    click.option("--cluster", metavar="FINGERPRINT", help="With this kind of error."),
    click.option("--type", "job_type", help="Of this job type."),
    click.option("--error", "error_type", help="With this error type."),
    click.option("--since", "failed_after", type=SINCE, help="Failed since, such as 1h or an ISO time."),
)


def filtering(command: Command) -> Command:
    """Add the options of a filter; the command takes a ``LetterFilter`` of open dead letters as ``chosen``."""

    @wraps(command)
    def run(
        *,
        cluster: str | None,
        job_type: str | None,
        error_type: str | None,
        failed_after: datetime | None,
        dlq_ids: tuple[int, ...] = (),
        **options: Any,
    ) -> Any:
        ids = tuple(dict.fromkeys(dlq_ids)) or None
        kinds = None if cluster is None else _whole(cluster)
        return command(chosen=LetterFilter(ids, job_type, error_type, kinds, failed_after), **options)

    for option in reversed(_OPTIONS):
        run = option(run)
    return run


def _whole(cluster: str) -> tuple[str, ...]:
    with open_desk() as (desk, actor):
        return clusters.family(desk, actor, cluster)


def choosing(command: Command) -> Command:
    """Add ids and the options of a filter; one of them has to say which dead letters."""

    @filtering
    @wraps(command)
    def run(*, chosen: LetterFilter, **options: Any) -> Any:
        if not chosen.names_any:
            raise click.UsageError("nothing says which dead letters; give ids, --cluster, --type, --error or --since")
        return command(chosen=chosen, **options)

    return click.argument("dlq_ids", type=DLQ_ID, nargs=-1)(run)


def complain(left: Left) -> None:
    """Raise for the first dead letter that was named and left alone."""
    for dlq_id in sorted([*left.missing, *left.resolved, *left.unmatched]):
        if dlq_id in left.resolved:
            raise TransitionRefused(f"dead letter {dlq_id} is resolved already: {left.resolved[dlq_id]}")
        if dlq_id in left.missing:
            raise JobNotFound(MISSING.format(dlq_id))
        raise JobNotFound(f"dead letter {dlq_id} does not match the filter; leave the filter out")
