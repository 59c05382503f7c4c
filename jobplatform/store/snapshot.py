"""All of our rows as of one moment, out of the tables and into empty ones, without holding them in memory.

Rows travel as PostgreSQL's COPY writes them as text, a line each: exact for every type, and no line break within one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from jobplatform.errors import RestoreRefused
from jobplatform.store import leadership, migrate, tables
from jobplatform.store.database import Database, Transaction
from jobplatform.store.statement import Statement
from jobplatform.store.tables import Table


class Writable(Protocol):
    """What rows are written to."""

    def write(self, part: bytes, /) -> int: ...


class Readable(Protocol):
    """What rows are read from."""

    def read(self, size: int = -1, /) -> bytes: ...


#: So that what one server writes another reads, and a large table takes as long as it takes.
SET_TRAVEL = Statement(
    "set_travel",
    """
    select set_config('statement_timeout', '0', true), set_config('datestyle', 'ISO', true),
        set_config('intervalstyle', 'postgres', true), set_config('extra_float_digits', '1', true),
        set_config('bytea_output', 'hex', true), set_config('enable_seqscan', 'on', true)
    """,
    {},
)

READ_VERSION = Statement("read_server_release", "select current_setting('server_version') as version", {})


class Snapshot:
    """Our tables as of one moment.

    :ivar revision: the migration that they are at.
    """

    def __init__(self, transaction: Transaction, revision: str) -> None:
        self.transaction = transaction
        self.revision = revision
        self.tables = tables.ours(transaction)

    @property
    def server(self) -> str:
        """The version of the server."""
        return str(self.transaction.rows(READ_VERSION)[0]["version"])

    def write(self, table: Table, file: Writable) -> None:
        """Write the rows of a table."""
        with _cursor(self.transaction) as cursor:
            cursor.copy_expert(f"copy {_named(self.transaction, table)} to stdout", file)


class Loading:
    """Our tables, empty and locked, while rows are put into them."""

    def __init__(self, transaction: Transaction, found: Sequence[Table]) -> None:
        self.transaction = transaction
        self.tables = {table.name: table for table in found}

    def read(self, table: Table, file: Readable) -> None:
        """Put rows into a table, and let new ones be numbered after them."""
        name = f'"{self.transaction.schema}".{table.name}'
        with _cursor(self.transaction) as cursor:
            # What triggers have noted of these rows is among what is put in.
            cursor.execute(f"alter table {name} disable trigger user")
            cursor.copy_expert(f"copy {_named(self.transaction, table)} from stdin", file)
            cursor.execute(f"alter table {name} enable trigger user")
            if table.identity is not None:
                cursor.execute(
                    f"select setval(pg_get_serial_sequence(%s, %s), max({table.identity})) from {name} "
                    f"having max({table.identity}) is not null",
                    (name, table.identity),
                )


@contextmanager
def taken(database: Database) -> Iterator[Snapshot]:
    """Look at the tables as of now, for as long as the block takes.

    :raises RestoreRefused: when there are none.
    """
    options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with database.engine.connect().execution_options(**options) as connection, connection.begin():
        transaction = Transaction(connection, database.schema)
        transaction.rows(SET_TRAVEL)
        yield Snapshot(transaction, _revision(database))


@contextmanager
def loading(database: Database, revision: str) -> Iterator[Loading]:
    """Lock the tables, make sure that they are empty and nobody leads, and keep what the block puts into them.

    :param revision: the migration that they have to be at.
    :raises RestoreRefused: when something speaks against it; nothing is written then.
    """
    known = _revision(database)
    if known != revision:
        raise RestoreRefused(
            f"the tables are at revision {known}, and the backup was made at {revision}; "
            f"run: jobplatform migrate --to {revision}, restore, and then: jobplatform migrate"
        )
    with database.transaction() as transaction:
        transaction.rows(SET_TRAVEL)
        if not leadership.is_vacant(transaction):
            raise RestoreRefused("a controller leads; stop it, and all other processes, until the rows are there")
        found = tables.ours(transaction)
        _lock_empty(transaction, found)
        yield Loading(transaction, found)


def _lock_empty(transaction: Transaction, found: Sequence[Table]) -> None:
    with _cursor(transaction) as cursor:
        names = [f'"{transaction.schema}".{table.name}' for table in found]
        cursor.execute(f"lock table {', '.join(names)} in access exclusive mode")
        for table, name in zip(found, names, strict=True):
            cursor.execute(f"select exists (select from {name})")
            if cursor.fetchone() == (True,):
                raise RestoreRefused(
                    f"table {table.name} has rows; restore into an empty database, "
                    "or into another schema of this one (JOBPLATFORM_SCHEMA)"
                )


def _cursor(transaction: Transaction) -> Any:
    """Open a cursor of the driver, which alone can stream rows."""
    return transaction.connection.connection.cursor()


def _revision(database: Database) -> str:
    revision = migrate.current(database)
    if revision is None:
        raise RestoreRefused(f"schema {database.schema} has none of our tables; run: jobplatform migrate")
    return revision


def _named(transaction: Transaction, table: Table) -> str:
    columns = ", ".join(f'"{column}"' for column in table.columns)
    return f'"{transaction.schema}".{table.name} ({columns})'
