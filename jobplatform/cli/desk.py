"""Where the commands act: the desk of the settings, and whoever works at this terminal."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from jobplatform.actions.actor import Actor, at_terminal
from jobplatform.actions.desk import Desk
from jobplatform.cli.application import open_app
from jobplatform.cli.connect import open_database, require_settings
from jobplatform.journal.writer import connect
from jobplatform.settings import Settings


@contextmanager
def open_desk(
    settings: Settings | None = None,
    by: str | None = None,
    pool_size: int = 1,
    statement_seconds: float = 30.0,
) -> Iterator[tuple[Desk, Actor]]:
    """Open the desk for the time of a block, and name who works at it.

    :param settings: None reads them from the environment.
    :param by: another name to go by; who is logged in is written down beside it.
    :param statement_seconds: the longest that one statement may run.
    :param pool_size: connections kept open.
    """
    known = settings or require_settings()
    with open_database(known, pool_size, statement_seconds) as database:
        yield (
            Desk(
                known,
                database,
                lambda: connect(known.journal_url, timeout=known.connect_seconds),
                lambda: open_app(known),
            ),
            _at_terminal(by),
        )


def _at_terminal(by: str | None) -> Actor:
    known = at_terminal(operator())
    return known if by in (None, known.name) else replace(known, name=by, address=known.name)


def operator() -> str:
    """Name who works at this terminal."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "somebody"
