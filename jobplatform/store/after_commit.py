"""What is to be done once the caller's own transaction has committed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from sqlalchemy import Connection, event

_KEY = "jobplatform_after_commit"


class Pending(NamedTuple):
    """An action, and the transactions whose rollback takes it back: from the open savepoint to the outermost."""

    action: Callable[[], None]
    inside: list[Any]


def after_commit(handle: Any, action: Callable[[], None]) -> bool:
    """Do something once a session's present transaction has committed.

    A rollback forgets it, also one to a savepoint that was set before; one to a savepoint that was set since does not.

    :param handle: an SQLAlchemy Session, scoped_session or Connection.
    :returns: whether the handle can tell; a plain connection cannot.
    """
    if isinstance(handle, Connection):
        return False
    session = (getattr(handle, "registry", None) and handle()) or handle
    if _KEY not in session.info:
        session.info[_KEY] = []
        event.listen(session, "after_commit", _committed)
        event.listen(session, "after_soft_rollback", _rolled_back)
    session.connection()
    session.info[_KEY].append(Pending(action, _enclosing(session)))
    return True


def _enclosing(session: Any) -> list[Any]:
    transaction = session.get_nested_transaction() or session.get_transaction()
    found = []
    while transaction is not None:
        found.append(transaction)
        transaction = transaction.parent
    return found


def _committed(session: Any) -> None:
    if session.in_nested_transaction():
        return
    pending: list[Pending] = session.info[_KEY]
    session.info[_KEY] = []
    for each in pending:
        each.action()


def _rolled_back(session: Any, previous: Any) -> None:
    session.info[_KEY] = [each for each in session.info[_KEY] if previous not in each.inside]
