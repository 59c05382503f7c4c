"""The group ``keys``: keys that sign messages, and keys that encrypt payloads."""

from __future__ import annotations

import base64
import os
from dataclasses import asdict

import click

from jobplatform.actions import keys as actions
from jobplatform.actions.keys import Rotated
from jobplatform.cli.desk import open_desk
from jobplatform.cli.exits import CommandError, Exit, mapped
from jobplatform.cli.output import Output, json_option
from jobplatform.secrecy.keyring import parse_keys

_BYTES = 32


@click.group(short_help="Make keys, and encrypt payloads again with a new one.")
def keys() -> None:
    """Make keys that sign messages or encrypt payloads, and encrypt payloads again with a new one."""


@keys.command("new")
@click.argument("name")
@mapped()
def new(name: str) -> None:
    """Print a new key, to be put first into JOBPLATFORM_SIGNING_KEYS or JOBPLATFORM_ENCRYPTION_KEYS."""
    text = f"{name}:{base64.b64encode(os.urandom(_BYTES)).decode()}"
    try:
        parse_keys(text)
    except ValueError as error:
        raise CommandError(f"name: {name!r} is no name of a key: {error}", Exit.USAGE) from error
    click.echo(text)


@keys.command("rotate")
@click.option("--dry-run", is_flag=True, help="Only count what is encrypted with another key than the first.")
@json_option
@mapped()
def rotate(dry_run: bool, output: Output) -> None:
    """Encrypt what is encrypted in the tables again with the first key of JOBPLATFORM_ENCRYPTION_KEYS.

    The key before may be taken out of the ring once nothing is left, and no message from before waits in a queue.
    """
    seen = 0

    def tell(rotated: Rotated) -> None:
        nonlocal seen
        if rotated.resealed - seen >= 1_000:
            seen = rotated.resealed
            output.note(f"{rotated.resealed} rows are encrypted again")

    with open_desk() as (desk, actor):
        done = actions.rotate(desk, actor, tell, dry_run)
    if output.as_json:
        output.json(asdict(done))
    else:
        unread = f", of which no key here opens {done.unreadable}" if done.unreadable else ""
        output.line(
            f"key {done.key}: {done.resealed} rows are encrypted again, {done.left} of {done.found} have another key"
            f"{unread}"
        )
    if done.left and not dry_run:
        raise CommandError(f"{done.left} rows still have another key; run it again", Exit.CONFLICT)
