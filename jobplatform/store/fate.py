"""What becomes of the caller's own transaction, told to who wrote beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import event

from jobplatform.store.database import connection_of


def follow(handle: Any, kept: Callable[[], None], taken_back: Callable[[], None]) -> None:
    """Tell each time what becomes of the caller's transaction, or of the savepoint that is open in it now.

    :param handle: an SQLAlchemy Session or Connection, of any database.
    """
    connection, inner = connection_of(handle), set[str]()

    def roll_back_savepoint(connection: Any, name: str, context: Any) -> None:
        # One that is set from now on takes back nothing of what was written before.
        if name not in inner:
            taken_back()

    event.listen(connection, "commit", lambda connection: kept())
    event.listen(connection, "rollback", lambda connection: taken_back())
    event.listen(connection, "savepoint", lambda connection, name: inner.add(name))
    event.listen(connection, "rollback_savepoint", roll_back_savepoint)
