"""``dlq edit``: mend what a job failed with, before it runs once more."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from jobplatform.actions import letters as actions
from jobplatform.actions.letters import Edited
from jobplatform.cli.choosing import DLQ_ID
from jobplatform.cli.desk import open_desk
from jobplatform.cli.exits import mapped
from jobplatform.cli.output import Output, json_option
from jobplatform.errors import InvalidPayload
from jobplatform.jobs.editing import parse_removal, parse_setting

DIFFERENCE_COLUMNS = ("path", "kind", "before", "after")


@click.command("edit")
@click.argument("dlq_id", type=DLQ_ID)
@click.option("--payload", help='A whole one as JSON, {"args": [...], "kwargs": {...}}; @FILE, or - to read it.')
@click.option("--set", "settings_", metavar="PATH=VALUE", multiple=True, help="Such as kwargs.user_id=5 or args[0]=1.")
@click.option("--unset", "removals", metavar="PATH", multiple=True, help="Such as kwargs.user_id.")
@click.option("--by", help="Who does it; who is logged in, if not given.")
@click.option("--dry-run", is_flag=True, help="Write nothing; tell what it changes.")
@json_option
@mapped()
def edit(
    dlq_id: int,
    payload: str | None,
    settings_: tuple[str, ...],
    removals: tuple[str, ...],
    by: str | None,
    dry_run: bool,
    output: Output,
) -> None:
    """Give a dead letter another payload, with which its job is replayed; the one that failed stays beside it."""
    if payload is None and not settings_ and not removals:
        raise click.UsageError("nothing says what to change; give --payload, --set or --unset")
    changes = [*map(parse_setting, settings_), *map(parse_removal, removals)]
    with open_desk(by=by) as (desk, actor):
        whole = None if payload is None else read_edited(payload)
        done = actions.edit(desk, actor, dlq_id, whole, changes, dry_run)
    _report(done, output)


def read_edited(text: str) -> Any:
    """Read a payload from the command line, a file, or standard input."""
    if text == "-":
        with click.open_file("-") as source:
            text = source.read()
    elif text.startswith("@"):
        try:
            text = Path(text[1:]).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidPayload("--payload", f"{text[1:]} cannot be read ({error})", "name a file of JSON") from error
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        fix = """give JSON such as '{"args": [], "kwargs": {"x": 1}}'"""
        raise InvalidPayload("--payload", f"it is no JSON ({error})", fix) from error


def _report(done: Edited, output: Output) -> None:
    values = done._asdict()
    job_type, changes = values.pop("job_type"), [each._asdict() for each in done.changes]
    if output.as_json:
        output.json({**values, "changes": changes})
        return
    output.record({name: value for name, value in values.items() if name != "changes"})
    output.section("changes", changes, DIFFERENCE_COLUMNS)
    if not done.checked:
        output.note(f"{job_type} is not known here, so its arguments were not checked; see JOBPLATFORM_IMPORTS")


COMMANDS = (edit,)
