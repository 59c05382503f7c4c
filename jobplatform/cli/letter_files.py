"""``dlq export`` and ``dlq import``: dead letters as lines of JSON, for another installation."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import IO, Any

import click

from jobplatform.actions import letters as actions
from jobplatform.cli.choosing import DLQ_ID, filtering
from jobplatform.cli.desk import open_desk
from jobplatform.cli.exits import mapped
from jobplatform.cli.output import Output, json_option
from jobplatform.store.dead_letters import LetterFilter


@click.command("export")
@click.argument("dlq_ids", type=DLQ_ID, nargs=-1)
@filtering
@click.option("--all", "resolved_too", is_flag=True, help="Those that were resolved as well.")
@click.option("--output", "target", type=click.File("wb", atomic=True), default="-", help="A file; else it is printed.")
@mapped()
def export(chosen: LetterFilter, resolved_too: bool, target: IO[bytes]) -> None:
    """Write dead letters, all open ones if nothing else is said, one as a line of JSON, the oldest first."""
    with open_desk() as (desk, actor):
        for line in actions.export(desk, actor, replace(chosen, open_only=not resolved_too)):
            target.write(f"{line}\n".encode())


@click.command("import")
@click.argument("source", metavar="FILE", type=click.File("rb"))
@json_option
@mapped()
def import_(source: IO[bytes], output: Output) -> None:
    """Take the dead letters of a file that another installation exported; - reads them from standard input.

    Each line is checked before anything is written. What is here already stays as it is. A job that has no row here
    gets one, so that it can be replayed.
    """
    with _rewindable(source) as file, open_desk() as (desk, actor):
        done = actions.import_(desk, actor, file)
    if output.as_json:
        output.json(done._asdict())
    else:
        output.line(f"{done.imported} of {done.lines} dead letters were new, and {done.jobs} of their jobs")


@contextmanager
def _rewindable(source: IO[bytes]) -> Iterator[IO[Any]]:
    """Give a file that can be read twice."""
    if source.seekable():
        yield source
        return
    with tempfile.TemporaryFile() as copy:
        shutil.copyfileobj(source, copy)
        copy.seek(0)
        yield copy


COMMANDS = (export, import_)
