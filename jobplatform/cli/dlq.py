"""The group ``dlq``: jobs that were given up, and what people do about them."""

from __future__ import annotations

from dataclasses import replace

import click

from jobplatform.actions import letters as actions
from jobplatform.cli import letter_edit, letter_files, replaying
from jobplatform.cli.choosing import DLQ_ID, choosing, complain, filtering
from jobplatform.cli.desk import open_desk
from jobplatform.cli.exits import mapped
from jobplatform.cli.output import Output, json_option
from jobplatform.store.dead_letters import LetterFilter

_COLUMNS = ("dlq_id", "job_id", "job_type", "error_type", "reason", "retry_count", "failed_at", "resolution")
_MOST = 10_000_000


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
    with open_desk() as (desk, actor):
        found = actions.list_letters(desk, actor, replace(chosen, open_only=not resolved_too), limit, page)
    output.page("dead_letters", found.rows, _COLUMNS, None if found.next is None else str(found.next))


@dlq.command("show")
@click.argument("dlq_id", type=DLQ_ID)
@json_option
@mapped()
def show_dead_letter(dlq_id: int, output: Output) -> None:
    """Show a dead letter with its payloads, its reason and what became of it."""
    with open_desk() as (desk, actor):
        row = actions.show_letter(desk, actor, dlq_id)
    if output.as_json:
        output.json(dict(row))
    else:
        output.record(row)


@dlq.command("resolve")
@choosing
@click.option("--note", help="Kept with them, such as why none of them is to run.")
@click.option("--by", help="Who does it; who is logged in, if not given.")
@click.option("--dry-run", is_flag=True, help="Change nothing; tell how many match.")
@json_option
@mapped()
def resolve_dead_letters(chosen: LetterFilter, note: str | None, by: str | None, dry_run: bool, output: Output) -> None:
    """Mark open dead letters as resolved without running their jobs, by id or by filter."""
    if dry_run:
        _count(chosen, output)
        return
    with open_desk(by=by) as (desk, actor):
        done, left = actions.resolve(desk, actor, chosen, note)
    if output.as_json:
        output.json({"resolved": list(done)})
    else:
        output.line(f"{len(done)} resolved")
    complain(left)


def _count(chosen: LetterFilter, output: Output) -> None:
    with open_desk() as (desk, actor):
        found = actions.count_letters(desk, actor, chosen, _MOST)
    if output.as_json:
        output.json({"matching": found})
    else:
        output.line(f"{found} match")


for made in (*replaying.COMMANDS, *letter_edit.COMMANDS, *letter_files.COMMANDS):
    dlq.add_command(made)
