"""What PostgreSQL's own words mean to us: is it away, or is it the value that it cannot take?"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DataError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

#: What a store that cannot be reached, or takes nothing at present, raises.
UNREACHABLE = (OperationalError, InterfaceError, PoolTimeout)

#: What a server says that was demoted, or is told to take no writes. The next connection may reach the new primary.
READ_ONLY = "25006"
#: Another transaction had a lock for too long.
LOCKED = "55P03"
#: It ended our connection since nothing was said in a transaction, or since that took too long.
_ENDED = ("25P03", "25P04")
#: Faults of the server's own, such as a file that it cannot read.
_BROKEN = "XX"
#: Limits that a single value exceeds, such as the size of an index entry.
_LIMITS = "54"


def sqlstate_of(error: BaseException) -> str:
    """Give the SQLSTATE of an error of SQLAlchemy's or of a driver's, empty when it has none."""
    origin = getattr(error, "orig", None) or error
    return getattr(origin, "pgcode", None) or getattr(origin, "sqlstate", None) or ""


def classify(state: str) -> type[DBAPIError] | None:
    """Choose what an error is raised as, by its SQLSTATE; None leaves it as the driver has it.

    The driver's classes tell an outage from a bad value, but for these.
    """
    if state == READ_ONLY or state in _ENDED or state.startswith(_BROKEN):
        return OperationalError
    return DataError if state.startswith(_LIMITS) else None


def tell_outages(engine: Engine) -> None:
    """Let an engine raise what ``classify`` says, and drop all its connections when a server is read-only."""
    event.listen(engine, "handle_error", _translate)


def _translate(context: ExceptionContext) -> DBAPIError | None:
    state = sqlstate_of(context.original_exception)
    if state == READ_ONLY:
        context.is_disconnect = True
    kind = classify(state)
    if kind is None:
        return None
    origin: Any = context.original_exception
    return kind(
        context.statement,
        context.parameters,
        origin,
        hide_parameters=True,
        connection_invalidated=context.is_disconnect,
    )
