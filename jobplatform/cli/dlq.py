"""The group ``dlq``: jobs that were given up, and giving them another chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from jobplatform.cli.connect import open_database
from jobplatform.cli.exits import mapped
from jobplatform.cli.output import Output, json_option
from jobplatform.errors import JobNotFound, TransitionRefused
from jobplatform.store import dead_letters, jobs, listing
from jobplatform.store.database import Transaction
from jobplatform.store.listing import Row

_COLUMNS = ("dlq_id", "job_id", "job_type", "error_type", "reason", "retry_count", "failed_at", "resolution")
_REPLAY_COLUMNS = ("dlq_id", "job_id", "job_type", "error_type", "outcome")
_DLQ_ID = click.IntRange(min=1, max=2**63 - 1)
_MISSING = "dead letter {}: there is none of this id; see: jobplatform dlq list --all"


@click.group(short_help="List, show and replay dead letters.")
def dlq() -> None:
    """List, show and replay dead letters: jobs that failed and will not be tried again."""


@dlq.command("list")
@click.option("--type", "job_type", help="Of this job type.")
@click.option("--error", "error_type", help="With this error type.")
@click.option("--all", "resolved_too", is_flag=True, help="Those that were resolved as well.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="Rows on a page.")
@click.option("--page", type=_DLQ_ID, metavar="CURSOR", help="The cursor that the page before printed.")
@json_option
@mapped()
def list_dead_letters(
    job_type: str | None,
    error_type: str | None,
    resolved_too: bool,
    limit: int,
    page: int | None,
    output: Output,
) -> None:
    """List dead letters, newest first."""
    with open_database() as database, database.session() as session:
        rows = listing.list_dead_letters(session, job_type, error_type, not resolved_too, limit + 1, page)
    cursor = str(rows[limit - 1]["dlq_id"]) if len(rows) > limit else None
    output.page("dead_letters", rows[:limit], _COLUMNS, cursor)


@dlq.command("show")
@click.argument("dlq_id", type=_DLQ_ID)
@json_option
@mapped()
def show_dead_letter(dlq_id: int, output: Output) -> None:
    """Show a dead letter with its payload and reason."""
    with open_database() as database, database.session() as session:
        row = listing.show_dead_letter(session, dlq_id)
    if row is None:
        raise JobNotFound(_MISSING.format(dlq_id))
    if output.as_json:
        output.json(dict(row))
    else:
        output.record(row)


@dlq.command("replay")
@click.argument("dlq_ids", type=_DLQ_ID, nargs=-1)
@click.option("--type", "job_type", help="All open ones of this job type.")
@click.option("--error", "error_type", help="All open ones with this error type.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=1000, show_default=True, help="Replay at most.")
@click.option("--dry-run", is_flag=True, help="Change nothing; tell what would be replayed.")
@json_option
@mapped()
def replay(
    dlq_ids: tuple[int, ...],
    job_type: str | None,
    error_type: str | None,
    limit: int,
    dry_run: bool,
    output: Output,
) -> None:
    """Run the jobs of dead letters once more, by id or by filter; their retries are restored."""
    if not (dlq_ids or job_type or error_type):
        raise click.UsageError("nothing says which dead letters; give ids, --type or --error")
    ids = list(dict.fromkeys(dlq_ids)) or None
    with open_database() as database, database.transaction() as transaction:
        most = len(ids) if ids else limit
        chosen = listing.open_dead_letter_jobs(transaction, ids, job_type, error_type, most)
        report = _report(chosen, None if dry_run else _replay(transaction, chosen))
        left_out = frozenset(ids or ()) - {row["dlq_id"] for row in chosen}
        absent = {dlq_id: listing.show_dead_letter(transaction, dlq_id) for dlq_id in sorted(left_out)}
    _print(report, output, complete=bool(ids) or len(chosen) < limit)
    _complain(report, absent)


def _replay(transaction: Transaction, chosen: Sequence[Row]) -> list[str]:
    replayed = jobs.replay(transaction, list({row["job_id"] for row in chosen}))
    dead_letters.resolve(transaction, replayed, "replayed")
    return replayed


def _report(chosen: Sequence[Row], replayed: Sequence[str] | None) -> list[dict[str, Any]]:
    """Tell what became of each dead letter.

    :param replayed: the jobs that run once more; None when nothing was changed.
    """
    if replayed is None:
        return [{**row, "outcome": "would replay"} for row in chosen]
    done = frozenset(replayed)
    return [{**row, "outcome": "replayed" if row["job_id"] in done else "refused"} for row in chosen]


def _print(report: list[dict[str, Any]], output: Output, complete: bool) -> None:
    if output.as_json:
        output.json(report)
        return
    output.table(report, _REPLAY_COLUMNS, empty="no such open dead letters")
    if not complete:
        output.note("there may be more; run it again, or raise --limit")


def _complain(report: list[dict[str, Any]], absent: Mapping[int, Row | None]) -> None:
    """Raise for the first dead letter that was asked for by id and not replayed.

    :param absent: those that are not open or do not match, by id.
    """
    for dlq_id, row in absent.items():
        if row is None:
            raise JobNotFound(_MISSING.format(dlq_id))
        if row["resolved_at"] is not None:
            raise TransitionRefused(f"dead letter {dlq_id} is resolved already: {row['resolution']}")
        raise JobNotFound(f"dead letter {dlq_id} does not match --type or --error; leave them out")
    for line in report:
        if line["outcome"] == "refused":
            raise TransitionRefused(
                f"dead letter {line['dlq_id']}: its job is gone, runs or completed; "
                f"see: jobplatform jobs show {line['job_id']}"
            )
