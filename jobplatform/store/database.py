"""Connections to PostgreSQL and the transactions on them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, OperationalError

from jobplatform.errors import JobOptionError
from jobplatform.settings import Settings
from jobplatform.store.deadline import Deadline
from jobplatform.store.outages import LOCKED, sqlstate_of, tell_outages
from jobplatform.store.outages import UNREACHABLE as UNREACHABLE
from jobplatform.store.statement import Statement

Result = TypeVar("Result")

#: What a value that the tables cannot hold raises.
REFUSED = (DataError, IntegrityError)

#: The server has so long to end a statement by itself, before the connection is cut.
_GRACE_SECONDS = 2.0
#: Let the server notice within half a minute that a client's machine is gone, and free what it held.
_ABANDONED = {
    "tcp_keepalives_idle": 10,
    "tcp_keepalives_interval": 5,
    "tcp_keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}


LIMIT_LOCKS = Statement(
    "limit_locks",
    "select current_setting('lock_timeout') as before, set_config('lock_timeout', %(limit)s, true)",
    {"limit": "3s"},
)


class Locked(Exception):
    """Another transaction has a lock for longer than it was to be waited for."""


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

    @contextmanager
    def impatient(self, milliseconds: int) -> Iterator[None]:
        """Wait for no lock for longer than this in the block; one that raises takes back what was written in it.

        :raises Locked: when another transaction has had a lock for so long.
        """
        try:
            with self.connection.begin_nested():
                (limits,) = self.rows(LIMIT_LOCKS, limit=f"{milliseconds}ms")
                yield
                self.rows(LIMIT_LOCKS, limit=limits["before"])
        except OperationalError as error:
            if sqlstate_of(error) != LOCKED:
                raise
            raise Locked("another transaction has the lock") from error

    def _run(self, statement: Statement, parameters: Mapping[str, Any]) -> Any:
        return self.connection.exec_driver_sql(statement.text(self.schema), dict(parameters))


class Database:
    """A pool of connections to the system of record.

    No statement waits for a lock for longer than for a connection.

    :param settings: where it is and how long to wait for it.
    :param pool_size: connections kept open.
    :param statement_seconds: the longest that one statement may run.
    :param quiet_seconds: a transaction in which nothing is said for so long is ended by the server, so that a process
        that stands still keeps no locks; 0 for never.
    :param only_indexes: plan no scan of a whole table where an index serves. A foreign-key check that was planned while
        a table was empty would scan it for every row for as long as the connection lives.
    """

    def __init__(
        self,
        settings: Settings,
        pool_size: int = 5,
        statement_seconds: float = 30.0,
        quiet_seconds: float = 0.0,
        only_indexes: bool = False,
    ) -> None:
        self.schema = settings.schema
        wait_seconds = max(2, round(settings.connect_seconds))
        options = {
            **_ABANDONED,
            "timezone": "UTC",
            "statement_timeout": int(statement_seconds * 1000),
            "lock_timeout": wait_seconds * 1000,
            "idle_in_transaction_session_timeout": int(quiet_seconds * 1000),
            "enable_seqscan": "off" if only_indexes else "on",
        }
        self.engine = create_engine(
            settings.sqlalchemy_url,
            # Errors end up in logs, and payloads do not belong there.
            hide_parameters=True,
            pool_size=pool_size,
            max_overflow=5,
            pool_timeout=settings.connect_seconds,
            pool_use_lifo=True,
            pool_pre_ping=True,
            connect_args={
                "connection_factory": Deadline(statement_seconds + _GRACE_SECONDS).connect,
                "connect_timeout": wait_seconds,
                "application_name": "jobplatform",
                "options": " ".join(f"-c {name}={value}" for name, value in options.items()),
                "keepalives_idle": 10,
                "keepalives_interval": 5,
                "keepalives_count": 3,
                "tcp_user_timeout": 15_000,
            },
        )
        tell_outages(self.engine)
        self._autocommit = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        self._idle: deque[Connection] = deque()
        self._most_idle = pool_size

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
        # More of them would leave none for transactions.
        if len(self._idle) < self._most_idle:
            self._idle.append(connection)
        else:
            connection.close()
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
