"""The group ``dlq``: jobs that were given up, and what people do about them."""

from __future__ import annotations

from dataclasses import replace

import click

from jobplatform.cli import letter_edit, letter_files, replaying
from jobplatform.cli.choosing import DLQ_ID, MISSING, choosing, filtering
from jobplatform.cli.connect import open_database
from jobplatform.cli.exits import mapped
from jobplatform.cli.holding import operator
from jobplatform.cli.output import Output, json_option
from jobplatform.errors import JobNotFound, TransitionRefused
from jobplatform.store import dead_letters
from jobplatform.store.dead_letters import LetterFilter

_COLUMNS = ("dlq_id", "job_id", "job_type", "error_type", "reason", "retry_count", "failed_at", "resolution")
#: Dead letters that one transaction resolves.
_BATCH = 1_000


@click.group(short_help="List, show, mend, replay and resolve dead letters.")
def dlq() -> None:
    """List, show, mend, replay and resolve dead letters: jobs that failed and will not be tried again."""


@dlq.command("list")
@filtering
@click.option("--all", "resolved_too", is_flag=True, help="Those that were resolved as well.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="Rows on a page.")
@click.option("--page", type=DLQ_ID, metavar="CURSOR", help="The cursor that the page before printed.")
@json_option
@mapped()
def list_dead_letters(chosen: LetterFilter, resolved_too: bool, limit: int, page: int | None, output: Output) -> None:
    """List dead letters, newest first."""
    with open_database() as database, database.session() as session:
        rows = dead_letters.listed(session, replace(chosen, open_only=not resolved_too), limit + 1, page)
    cursor = str(rows[limit - 1]["dlq_id"]) if len(rows) > limit else None
    output.page("dead_letters", rows[:limit], _COLUMNS, cursor)


@dlq.command("show")
@click.argument("dlq_id", type=DLQ_ID)
@json_option
@mapped()
def show_dead_letter(dlq_id: int, output: Output) -> None:
    """Show a dead letter with its payloads, its reason and what became of it."""
    with open_database() as database, database.session() as session:
        row = dead_letters.show(session, dlq_id)
    if row is None:
        raise JobNotFound(MISSING.format(dlq_id))
    if output.as_json:
        output.json(dict(row))
    else:
        output.record(row)


@dlq.command("resolve")
@choosing
@click.option("--note", help="Kept with them, such as why none of them is to run.")
@click.option("--by", help="Who does it; who is logged in, if not given.")
@json_option
@mapped()
def resolve_dead_letters(chosen: LetterFilter, note: str | None, by: str | None, output: Output) -> None:
    """Mark open dead letters as resolved without running their jobs, by id or by filter."""
    done: list[int] = []
    with open_database() as database:
        while True:
            with database.transaction() as transaction:
                part = dead_letters.resolve(transaction, chosen, by or operator(), note, _BATCH)
            done += part
            if len(part) < _BATCH:
                break
        with database.session() as session:
            left = {dlq_id: dead_letters.show(session, dlq_id) for dlq_id in set(chosen.dlq_ids or ()) - set(done)}
    if output.as_json:
        output.json({"resolved": sorted(done)})
    else:
        output.line(f"{len(done)} resolved")
    for dlq_id, row in sorted(left.items()):
        if row is None:
            raise JobNotFound(MISSING.format(dlq_id))
        if row["resolved_at"] is not None:
            raise TransitionRefused(f"dead letter {dlq_id} is resolved already: {row['resolution']}")
        raise JobNotFound(f"dead letter {dlq_id} does not match the filter; leave the filter out")


for made in (*replaying.COMMANDS, *letter_edit.COMMANDS, *letter_files.COMMANDS):
    dlq.add_command(made)
