"""An end to waiting for a server that stands still: it says nothing, and its kernel keeps the line open."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from psycopg2 import InterfaceError
from psycopg2.extensions import connection, cursor

logger = logging.getLogger(__name__)

Result = TypeVar("Result")


class Deadline:
    """Cut the connection of whatever waits for the server for too long.

    The statement then fails as if the server had hung up. One thread watches, while there is something to watch.

    :param seconds: how long a statement may wait; more than the server itself lets it run.
    :param look_seconds: between two looks.
    """

    def __init__(self, seconds: float, look_seconds: float = 0.5, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self.look_seconds = look_seconds
        self.clock = clock
        self._lock = threading.Lock()
        #: Who waits, by a token of the wait's own, and until when at most.
        self._waits: dict[object, tuple[connection, float]] = {}
        self._watcher: threading.Thread | None = None

    def connect(self, dsn: str, *options: Any) -> connection:
        """Open a connection on which every wait has an end; psycopg2 calls this in place of its class."""
        made = _Connection(dsn, *options)
        made.deadline = self
        made.cursor_factory = _Cursor
        return made

    def bound(self, waiting: connection, action: Callable[..., Result], *arguments: Any) -> Result:
        """Do something that waits for the server on a connection."""
        token = object()
        with self._lock:
            self._waits[token] = waiting, self.clock() + self.seconds
            if self._watcher is None:
                self._watcher = threading.Thread(target=self._watch, name="deadline", daemon=True)
                self._watcher.start()
        try:
            return action(*arguments)
        finally:
            with self._lock:
                del self._waits[token]

    def _watch(self) -> None:
        while True:
            time.sleep(self.look_seconds)
            # Nobody who waits can go on meanwhile and close the socket, whose number another file would get.
            with self._lock:
                if not self._waits:
                    self._watcher = None
                    return
                for waiting, until in self._waits.values():
                    if until < self.clock():
                        self._cut(waiting)

    def _cut(self, waiting: connection) -> None:
        logger.warning("PostgreSQL has said nothing for %g s; its connection is cut", self.seconds)
        # The driver may have noticed by itself just before.
        with suppress(OSError, InterfaceError), socket.socket(fileno=os.dup(waiting.fileno())) as line:
            line.shutdown(socket.SHUT_RDWR)


class _Connection(connection):
    deadline: Deadline

    def commit(self) -> None:
        self.deadline.bound(self, super().commit)

    def rollback(self) -> None:
        self.deadline.bound(self, super().rollback)


class _Cursor(cursor):
    connection: _Connection

    def execute(self, query: Any, vars: Any = None) -> None:
        self.connection.deadline.bound(self.connection, super().execute, query, vars)
