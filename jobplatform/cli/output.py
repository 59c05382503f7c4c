"""The one place that prints: tables for people, aligned text for pipes, JSON for programs.

Data goes to stdout and notes to stderr. What comes out of a payload or an error is cleaned first, so that no
job can steer the terminal of who looks at it.
"""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

import click
from rich.cells import cell_len

Row = Mapping[str, Any]
Command = TypeVar("Command", bound=Callable[..., Any])

_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # colours, cursor moves
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"  # titles, links
    r"|\x1b[ -/]*[0-~]?"
)
#: Other, control, format, surrogate and private characters: what steers, hides or reorders text.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
_GAP = "  "
#: The most columns that a table takes in a terminal that is narrower.
_WIDEST = 160
_LONGEST_WORD = len("01890a5d-ac96-774b-bcce-b302099a8057")


def json_option(command: Command) -> Command:
    """Add ``--json``; the command takes an ``Output`` as ``output``."""

    def choose(ctx: click.Context, param: click.Parameter, flag: bool) -> Output:
        return Output(as_json=flag)

    return click.option("--json", "output", is_flag=True, callback=choose, help="Print JSON.")(command)


def clean(text: str, lines: bool = False) -> str:
    """Take everything out of a text that could steer a terminal or reorder a line.

    :param lines: keep the line breaks; otherwise each becomes a space.
    """
    if text.isascii() and text.isprintable():
        return text
    text = _ESCAPES.sub("", text).replace("\r\n", "\n").replace("\t", "    ")
    text = text if lines else text.replace("\n", " ")
    return "".join(part for part in text if part == "\n" or unicodedata.category(part) not in _UNSAFE)


def iso(moment: datetime, digits: str = "microseconds") -> str:
    """Write a time in UTC as ISO 8601.

    :param digits: how fine, as ``datetime.isoformat`` names it.
    """
    return moment.astimezone(UTC).isoformat(timespec=digits).replace("+00:00", "Z")


def cell(value: object) -> str:
    """Write a value as one clean line."""
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return iso(value, "seconds")
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (dict, list)):
        return clean(json.dumps(value))
    return clean(str(value)) or "-"


class Output:
    """Prints what a command found, in the form that its reader wants.

    :param as_json: print JSON, one object or a list.
    """

    def __init__(self, as_json: bool = False) -> None:
        self.as_json = as_json
        self.rich = not as_json and sys.stdout.isatty()

    def json(self, value: object) -> None:
        """Print a value as JSON, its times as ISO text."""
        click.echo(json.dumps(value, default=_json_value, indent=2 if sys.stdout.isatty() else None))

    def json_line(self, value: object) -> None:
        """Print a value as one line of JSON, its times as ISO text."""
        click.echo(json.dumps(value, default=_json_value))

    def table(self, rows: Sequence[Row], columns: Iterable[str], empty: str) -> None:
        """Print rows as a table, one line each.

        :param columns: the names of the values to show.
        :param empty: the note to give when there is no row.
        """
        names = list(columns)
        cells = [[cell(row.get(name)) for name in names] for row in rows]
        if not cells:
            self.note(empty)
        elif self.rich:
            _print_table(names, cells)
        else:
            _print_aligned([[name.upper() for name in names], *cells])

    def page(self, name: str, rows: Sequence[Row], columns: Iterable[str], cursor: str | None) -> None:
        """Print one page of a list, and how to get the next.

        :param name: the key of the rows in JSON, a plural.
        :param cursor: names the end of the page, None for the last one.
        """
        if self.as_json:
            self.json({name: list(map(dict, rows)), "next": cursor})
            return
        self.table(rows, columns, empty=f"no such {name.replace('_', ' ')}")
        if cursor:
            self.note(f"more: --page {cursor}")

    def record(self, row: Row) -> None:
        """Print the values of one thing, a line each; those that are missing are left out."""
        present = [[name, cell(value)] for name, value in row.items() if value is not None]
        _print_aligned(present)

    def section(self, title: str, rows: Sequence[Row], columns: Iterable[str]) -> None:
        """Print rows as a table under a title, nothing when there is no row."""
        if rows:
            click.echo(f"\n{clean(title)}:")
            self.table(rows, columns, empty="")

    def block(self, title: str, text: str) -> None:
        """Print a text of several lines under a title."""
        click.echo(f"\n{clean(title)}:")
        click.echo("\n".join(f"  {line}" for line in clean(text, lines=True).rstrip().split("\n")))

    def line(self, text: str) -> None:
        """Print one line of data."""
        click.echo(clean(text))

    def note(self, text: str) -> None:
        """Tell the reader something that is no data."""
        click.echo(clean(text), err=True)

    @contextmanager
    def progress(self) -> Iterator[Callable[[str], None]]:
        """Show that something goes on, where somebody looks; the block gets a function that tells what."""
        if self.as_json or not sys.stderr.isatty():
            yield lambda text: None
            return
        from rich.console import Console

        console = Console(stderr=True, markup=False, emoji=False, highlight=False)
        with console.status("") as status:
            yield lambda text: status.update(clean(text))


def _json_value(value: object) -> object:
    if isinstance(value, datetime):
        return iso(value)
    raise TypeError(f"a {type(value).__name__} cannot be printed as JSON")


def _print_aligned(cells: Sequence[Sequence[str]]) -> None:
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        padded = (text + " " * (width - cell_len(text)) for text, width in zip(row, widths, strict=True))
        click.echo(_GAP.join(padded).rstrip())


def _print_table(names: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name, column in zip(names, zip(*cells, strict=True), strict=True):
        one_word = all(" " not in text and len(text) <= _LONGEST_WORD for text in column)
        table.add_column(name.upper(), overflow="fold", no_wrap=one_word)
    for row in cells:
        table.add_row(*row)
    console = Console(markup=False, emoji=False, highlight=False)
    # An id cut in two cannot be copied; rather let the terminal wrap the line.
    whole = console.measure(table, options=console.options.update_width(_WIDEST)).minimum
    console.width = max(console.width, whole)
    console.print(table)
