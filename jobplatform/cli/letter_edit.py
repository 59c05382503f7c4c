"""``dlq edit``: mend what a job failed with, before it runs once more."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from jobplatform.cli.application import open_app
from jobplatform.cli.choosing import DLQ_ID, MISSING
from jobplatform.cli.connect import open_database, require_settings
from jobplatform.cli.exits import mapped
from jobplatform.cli.holding import operator
from jobplatform.cli.output import Output, json_option
from jobplatform.errors import InvalidPayload, JobNotFound, TransitionRefused
from jobplatform.jobs.editing import changed, check_payload, kept, parse_removal, parse_setting, readable
from jobplatform.jobs.payload import encode_payload
from jobplatform.store import dead_letters


@click.command("edit")
@click.argument("dlq_id", type=DLQ_ID)
@click.option("--payload", help='A whole one as JSON, {"args": [...], "kwargs": {...}}; @FILE, or - to read it.')
@click.option("--set", "settings_", metavar="PATH=VALUE", multiple=True, help="Such as kwargs.user_id=5 or args[0]=1.")
@click.option("--unset", "removals", metavar="PATH", multiple=True, help="Such as kwargs.user_id.")
@click.option("--by", help="Who does it; who is logged in, if not given.")
@json_option
@mapped()
def edit(
    dlq_id: int,
    payload: str | None,
    settings_: tuple[str, ...],
    removals: tuple[str, ...],
    by: str | None,
    output: Output,
) -> None:
    """Give a dead letter another payload, with which its job is replayed; the one that failed stays beside it."""
    if payload is None and not settings_ and not removals:
        raise click.UsageError("nothing says what to change; give --payload, --set or --unset")
    changes = [*map(parse_setting, settings_), *map(parse_removal, removals)]
    settings = require_settings()
    app = open_app(settings)
    with open_database(settings) as database, database.transaction() as transaction:
        row = dead_letters.show(transaction, dlq_id)
        if row is None:
            raise JobNotFound(MISSING.format(dlq_id))
        before = readable(
            settings.encryption_keys, row, row["payload"] if row["edited_payload"] is None else row["edited_payload"]
        )
        made = changed(before if payload is None else _read(payload), changes)
        awaits = bool(row["awaits"])
        if awaits and made["args"][:1] != before["args"][:1]:
            raise InvalidPayload(
                "args[0]", "it is made of the results of other jobs when the job runs", "leave it alone"
            )
        checked = check_payload(app, row["job_type"], made, settings.payload_limit, awaits)
        text = encode_payload(made["args"], made["kwargs"], settings.payload_limit)
        if not dead_letters.edit(transaction, dlq_id, kept(settings.encryption_keys, row, text), by or operator()):
            raise TransitionRefused(f"dead letter {dlq_id} is resolved already: {row['resolution']}")
    _report({"dlq_id": dlq_id, "checked": checked, "payload": before, "edited_payload": made}, row["job_type"], output)


def _read(text: str) -> Any:
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


def _report(done: dict[str, Any], job_type: str, output: Output) -> None:
    if output.as_json:
        output.json(done)
        return
    output.record(done)
    if not done["checked"]:
        output.note(f"{job_type} is not known here, so its arguments were not checked; see JOBPLATFORM_IMPORTS")


COMMANDS = (edit,)
