"""The tables of a test: rows in memory, and transactions whose writes are taken back when their block raises."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from typing import Any, TypeVar

from jobplatform.errors import JobPlatformError
from jobplatform.store.statement import Statement

Row = Mapping[str, Any]
Result = TypeVar("Result")

#: What a statement does to the tables: rows that it gives, or how many it has touched.
Deed = Callable[["Writing", Mapping[str, Any]], Any]

#: By the name of a statement.
DEEDS: dict[str, Deed] = {}


class NotInMemory(JobPlatformError, NotImplementedError):
    """Something was asked of the tables that only a real database answers."""


def deed(*names: str) -> Callable[[Deed], Deed]:
    """Say that a function does what the statements of these names do."""

    def keep(function: Deed) -> Deed:
        for name in names:
            DEEDS[name] = function
        return function

    return keep


class Tables:
    """Rows by table and key; a row is never changed in place.

    :param clock: seconds since the epoch.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.rows: defaultdict[str, dict[Any, Row]] = defaultdict(dict)
        self.numbers = count(1)

    def of(self, table: str) -> list[Row]:
        """List the rows of a table, in the order in which they were written."""
        return list(self.rows[table].values())

    def get(self, table: str, key: Any) -> Row | None:
        """Give one row, None when it is not there."""
        return self.rows[table].get(key)


class Writing:
    """Statements on the tables; what they have written can be taken back.

    :ivar said: the names of the statements so far.
    """

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.said: list[str] = []
        self._before: list[tuple[str, Any, Row | None]] = []

    @property
    def now(self) -> float:
        """What the time is, in seconds since the epoch."""
        return self.tables.clock()

    @property
    def moment(self) -> datetime:
        """What the time is."""
        return datetime.fromtimestamp(self.now, UTC)

    def rows(self, statement: Statement, **parameters: Any) -> Sequence[Row]:
        """Do a statement and give its rows."""
        found = self._do(statement, parameters)
        return found if isinstance(found, list) else []

    def count(self, statement: Statement, **parameters: Any) -> int:
        """Do a statement and tell how many rows it touched."""
        found = self._do(statement, parameters)
        return found if isinstance(found, int) else len(found)

    @contextmanager
    def impatient(self, milliseconds: int) -> Iterator[None]:
        """Wait for no lock, as there is none; a block that raises takes back what was written in it."""
        mark = self.mark()
        try:
            yield
        except BaseException:
            self.back_to(mark)
            raise

    def put(self, table: str, key: Any, row: Row) -> Row:
        """Write a row."""
        self._before.append((table, key, self.tables.get(table, key)))
        self.tables.rows[table][key] = row
        return row

    def change(self, table: str, key: Any, **values: Any) -> Row:
        """Change some values of a row."""
        return self.put(table, key, {**self.tables.rows[table][key], **values})

    def drop(self, table: str, key: Any) -> None:
        """Delete a row."""
        self._before.append((table, key, self.tables.rows[table].pop(key, None)))

    def mark(self) -> int:
        """Give the place to which ``back_to`` goes."""
        return len(self._before)

    def back_to(self, mark: int) -> None:
        """Take back what was written since a mark."""
        while len(self._before) > mark:
            table, key, row = self._before.pop()
            if row is None:
                self.tables.rows[table].pop(key, None)
            else:
                self.tables.rows[table][key] = row

    def forget(self) -> None:
        """Keep what was written."""
        self._before.clear()

    def _do(self, statement: Statement, parameters: Mapping[str, Any]) -> Any:
        self.said.append(statement.name)
        found = DEEDS.get(statement.name)
        if found is None:
            raise NotInMemory(
                f"statement {statement.name}: tables in memory do not answer it; use the fixture job_stack, which "
                "has a PostgreSQL of its own"
            )
        return found(self, parameters)


class MemoryDatabase:
    """What stands in for the pool of connections.

    :param committed: told the names of the statements of each transaction that was kept.
    """

    schema = "memory"

    def __init__(self, tables: Tables, committed: Callable[[Sequence[str]], None] = lambda said: None) -> None:
        self.tables = tables
        self.committed = committed

    @contextmanager
    def transaction(self) -> Iterator[Writing]:
        """Open a transaction whose writes are taken back when the block raises."""
        writing = Writing(self.tables)
        try:
            yield writing
        except BaseException:
            writing.back_to(0)
            raise
        self.committed(writing.said)

    session = transaction

    def once(self, work: Callable[[Any], Result]) -> Result:
        """Do one statement that commits by itself."""
        with self.transaction() as writing:
            return work(writing)

    def close(self) -> None:
        """Do nothing: there is no connection."""
