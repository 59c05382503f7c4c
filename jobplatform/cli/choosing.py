"""Which dead letters a command is about: some by id, or all that match a filter."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import Any

import click

from jobplatform.cli.connect import open_database
from jobplatform.cli.parameters import SINCE
from jobplatform.errors import ClusterNotFound
from jobplatform.store import clusters
from jobplatform.store.dead_letters import LetterFilter

Command = Callable[..., Any]

DLQ_ID = click.IntRange(min=1, max=2**63 - 1)
MISSING = "dead letter {}: there is none of this id; see: jobplatform dlq list --all"

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
    """Name all fingerprints of a cluster."""
    with open_database() as database, database.session() as session:
        try:
            return tuple(clusters.family(session, clusters.find(session, cluster)))
        except ClusterNotFound:
            # Dead letters that were imported have no cluster here.
            return (cluster,)


def choosing(command: Command) -> Command:
    """Add ids and the options of a filter; one of them has to say which dead letters."""

    @filtering
    @wraps(command)
    def run(*, chosen: LetterFilter, **options: Any) -> Any:
        if not chosen.names_any:
            raise click.UsageError("nothing says which dead letters; give ids, --cluster, --type, --error or --since")
        return command(chosen=chosen, **options)

    return click.argument("dlq_ids", type=DLQ_ID, nargs=-1)(run)
