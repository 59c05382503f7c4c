"""Rows that are written in the caller's own SQLAlchemy transaction: gone when that rolls back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from jobplatform.store.fate import follow
from jobplatform.testing.tables import Tables, Writing

Committed = Callable[[Sequence[str]], None]


def writing_on(handle: Any, tables: Tables, committed: Committed) -> Writing:
    """Give statements that are kept when the caller's transaction commits, and taken back when it rolls back.

    :param committed: told the names of the statements when they are kept.
    """
    writing = Writing(tables)

    def keep() -> None:
        writing.forget()
        said, writing.said = writing.said, []
        if said:
            committed(said)

    def take_back() -> None:
        writing.back_to(0)
        writing.said = []

    follow(handle, keep, take_back)
    return writing


@contextmanager
def savepoint_on(handle: Any, tables: Tables, committed: Committed) -> Iterator[Writing]:
    """Open a savepoint in the caller's transaction."""
    with handle.begin_nested():
        yield writing_on(handle, tables, committed)
