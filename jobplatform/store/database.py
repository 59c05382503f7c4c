"""Connections to PostgreSQL and the transactions on them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from jobplatform.errors import JobOptionError
from jobplatform.settings import Settings
from jobplatform.store.statement import Statement

Result = TypeVar("Result")

#: What a store that cannot be reached raises.
UNREACHABLE = (OperationalError, InterfaceError, PoolTimeout)


#: What a value that the tables cannot hold raises.
REFUSED = (DataError, IntegrityError)


class Transaction:
    """Statements on one connection; who opened it commits it.

    :param connection: an SQLAlchemy connection, ours or the caller's.
    :param schema: where our tables are.
    """

    def __init__(self, connection: Connection, schema: str) -> None:
        self.connection = connection
        self.schema = schema

    def rows(self, statement: Statement, **parameters: Any) -> Sequence[Mapping[str, Any]]:
        """Run a statement and return its rows as mappings."""
        return self._run(statement, parameters).mappings().all()  # type: ignore[no-any-return]

    def count(self, statement: Statement, **parameters: Any) -> int:
        """Run a statement and return the number of rows that it touched."""
        return int(self._run(statement, parameters).rowcount)

    def _run(self, statement: Statement, parameters: Mapping[str, Any]) -> Any:
        return self.connection.exec_driver_sql(statement.text(self.schema), dict(parameters))


class Database:
    """A pool of connections to the system of record.

    :param settings: where it is and how long to wait for it.
    :param pool_size: connections kept open.
    :param statement_seconds: the longest that one statement may run.
    :param only_indexes: plan no scan of a whole table where an index serves. A foreign-key check that was planned while
        a table was empty would scan it for every row for as long as the connection lives.
    """

    def __init__(
        self, settings: Settings, pool_size: int = 5, statement_seconds: float = 30.0, only_indexes: bool = False
    ) -> None:
        self.schema = settings.schema
        options = f"-c statement_timeout={int(statement_seconds * 1000)} -c timezone=UTC"
        if only_indexes:
            options += " -c enable_seqscan=off"
        self.engine = create_engine(
            settings.sqlalchemy_url,
            pool_size=pool_size,
            max_overflow=5,
            pool_timeout=settings.connect_seconds,
            pool_use_lifo=True,
            pool_pre_ping=True,
            connect_args={
                "connect_timeout": max(2, round(settings.connect_seconds)),
                "application_name": "jobplatform",
                "options": options,
                "keepalives_idle": 10,
                "keepalives_interval": 5,
                "keepalives_count": 3,
                "tcp_user_timeout": 15_000,
            },
        )
        self._autocommit = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        self._idle: deque[Connection] = deque()

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Open a transaction that commits at the end of the block and rolls back when the block raises."""
        with self.engine.begin() as connection:
            yield Transaction(connection, self.schema)

    @contextmanager
    def session(self) -> Iterator[Transaction]:
        """Open a connection on which every statement commits by itself."""
        with self._autocommit.connect() as connection:
            yield Transaction(connection, self.schema)

    def once(self, work: Callable[[Transaction], Result]) -> Result:
        """Do one self-committing statement, on a fresh connection if the pooled one turns out to be dead.

        :param work: must be safe to do twice.
        :raises OperationalError: when PostgreSQL cannot be reached.
        """
        try:
            return self._once(work)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
        self._forget_idle()
        return self._once(work)

    def _once(self, work: Callable[[Transaction], Result]) -> Result:
        # Autocommitting connections need no reset, so they are kept out of the pool, whose check-out and check-in
        # cost as much as the statement itself.
        connection = self._idle.pop() if self._idle else self._autocommit.connect()
        try:
            result = work(Transaction(connection, self.schema))
        except BaseException:
            connection.close()
            raise
        self._idle.append(connection)
        return result

    def _forget_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def close(self) -> None:
        """Close the pooled connections."""
        self._forget_idle()
        self.engine.dispose()


def connection_of(handle: Any) -> Connection:
    """Give the connection of an SQLAlchemy Session, or the connection itself."""
    return handle if isinstance(handle, Connection) else handle.connection()


@contextmanager
def savepoint(handle: Any, schema: str) -> Iterator[Transaction]:
    """Open a savepoint in the caller's transaction; a block that raises takes back what was written in it.

    :param handle: an SQLAlchemy Session, scoped_session or Connection.
    :raises JobOptionError: when it has no transactions.
    """
    if getattr(connection_of(handle).connection.dbapi_connection, "autocommit", False):
        raise JobOptionError("session: it commits every statement by itself (AUTOCOMMIT); give one with transactions")
    with handle.begin_nested():
        yield Transaction(connection_of(handle), schema)
