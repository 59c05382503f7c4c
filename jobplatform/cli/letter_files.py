"""``dlq export`` and ``dlq import``: dead letters as lines of JSON, for another installation."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import IO, Any

import click

from jobplatform.cli.choosing import DLQ_ID, filtering
from jobplatform.cli.connect import open_database
from jobplatform.cli.exits import mapped
from jobplatform.cli.output import Output, json_option
from jobplatform.errors import InvalidPayload
from jobplatform.jobs.letter_lines import check_line
from jobplatform.store import letter_files
from jobplatform.store.dead_letters import LetterFilter

#: Lines that one statement writes.
_BATCH = 200


@click.command("export")
@click.argument("dlq_ids", type=DLQ_ID, nargs=-1)
@filtering
@click.option("--all", "resolved_too", is_flag=True, help="Those that were resolved as well.")
@click.option("--output", "target", type=click.File("wb", atomic=True), default="-", help="A file; else it is printed.")
@mapped()
def export(chosen: LetterFilter, resolved_too: bool, target: IO[bytes]) -> None:
    """Write dead letters, all open ones if nothing else is said, one as a line of JSON, the oldest first."""
    with open_database() as database, database.session() as session:
        for line in letter_files.export(session, replace(chosen, open_only=not resolved_too)):
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
    with _rewindable(source) as file:
        lines = sum(1 for _ in _checked(file))
        file.seek(0)
        letters = jobs = 0
        with open_database() as database, database.transaction() as transaction:
            found = _checked(file)
            while batch := list(itertools.islice(found, _BATCH)):
                done = letter_files.take(transaction, batch)
                letters, jobs = letters + done.letters, jobs + done.jobs
    if output.as_json:
        output.json({"lines": lines, "imported": letters, "jobs": jobs})
    else:
        output.line(f"{letters} of {lines} dead letters were new, and {jobs} of their jobs")


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


def _checked(file: IO[bytes]) -> Iterator[str]:
    for number, raw in enumerate(file, 1):
        try:
            line = raw.decode().strip()
        except UnicodeDecodeError as error:
            raise InvalidPayload(f"line {number}", f"it is no UTF-8 ({error})", "give what dlq export wrote") from error
        if line:
            check_line(number, line)
            yield line


COMMANDS = (export, import_)
