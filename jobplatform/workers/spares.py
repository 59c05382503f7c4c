"""Programs that a seedbed has begun ahead of need: each waits at a gate until somebody asks for just that program."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from jobplatform.devstack.guard import die_with

#: What goes over the line of a spare: that it waits, and that it is needed.
_WAITS, _GO = b"waits", b"go"

Asked = Mapping[str, Any]


class Spare(NamedTuple):
    """A program that was begun ahead, and our end of the line on which it waits."""

    pid: int
    line: socket.socket


class Kept(NamedTuple):
    """How many spares wait at their gates, and how many ended by themselves since that was asked last."""

    waiting: int
    ended: int


class Spares:
    """The spares of a seedbed, by what they were asked to become.

    :param has_ended: tells whether a process of this id has ended.
    """

    def __init__(self, has_ended: Callable[[int], bool]) -> None:
        self.has_ended = has_ended
        self._spares: dict[str, Spare] = {}
        self._waiting: set[int] = set()
        self._taken: list[socket.socket] = []
        self._ended = 0

    def add(self, asked: Asked, pid: int, line: socket.socket) -> None:
        """Take note of a spare that was begun."""
        line.setblocking(False)
        self._spares[_key(asked)] = Spare(pid, line)

    def take(self, asked: Asked) -> int | None:
        """Let a spare begin its work and return its id, None when there is none for that."""
        self._bury()
        spare = self._spares.pop(_key(asked), None)
        if spare is None:
            return None
        try:
            spare.line.send(_GO)
        except OSError:
            return None
        # Closed with something unread, it would take back what was said.
        self._taken.append(spare.line)
        return spare.pid

    def missing(self, wanted: Sequence[Asked]) -> Asked | None:
        """End the spares that nobody wants any more, and give the first that is wanted and not there."""
        self._bury()
        keys = {_key(asked): asked for asked in wanted}
        for key in self._spares.keys() - keys.keys():
            spare = self._spares.pop(key)
            with spare.line, suppress(ProcessLookupError):
                os.killpg(spare.pid, signal.SIGKILL)
        return next((asked for key, asked in keys.items() if key not in self._spares), None)

    def count(self) -> Kept:
        """Count those that wait, and those that have ended since they were counted last."""
        for spare in self._spares.values():
            with suppress(BlockingIOError):
                if spare.line.recv(len(_WAITS)) == _WAITS:
                    self._waiting.add(spare.pid)
        self._waiting &= {spare.pid for spare in self._spares.values()}
        ended, self._ended = self._ended, 0
        return Kept(len(self._waiting), ended)

    def _bury(self) -> None:
        self._taken = [line for line in self._taken if not _is_over(line)]
        for key, spare in list(self._spares.items()):
            if self.has_ended(spare.pid):
                self._ended += 1
                self._spares.pop(key).line.close()

    def forget(self) -> None:
        """Close all lines, in a process that was forked from the seedbed."""
        for line in (*self._taken, *(spare.line for spare in self._spares.values())):
            line.close()
        self._spares, self._taken = {}, []


class Gate:
    """Where a spare waits.

    :param line: its end of the line to the seedbed.
    :param parent: the seedbed, with which it ends for as long as it waits.
    :param at_death: the signal that it gets at the end of the seedbed from then on, 0 for none.
    """

    def __init__(self, line: socket.socket, parent: int, at_death: int) -> None:
        self.line = line
        self.parent = parent
        self.at_death = at_death
        # The processes that it starts are no part of this.
        os.register_at_fork(after_in_child=line.close)

    def __call__(self, was_told: Callable[[], bool]) -> None:
        """Wait until this process is needed; one that is told to end, or whose seedbed is gone, ends at once.

        :param was_told: whether that was before it came here.
        """
        before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if was_told():
            signal.raise_signal(signal.SIGTERM)
        with self.line:
            try:
                self.line.send(_WAITS)
                needed = self.line.recv(len(_GO)) == _GO
            except OSError:
                needed = False
        if not needed:
            sys.exit(1)
        signal.signal(signal.SIGTERM, before)
        die_with(self.parent, self.at_death)


def _is_over(line: socket.socket) -> bool:
    """Close a line whose other end has been closed, and tell whether it was."""
    try:
        while line.recv(len(_WAITS)):
            pass
    except BlockingIOError:
        return False
    except OSError:
        pass
    line.close()
    return True


def _key(asked: Asked) -> str:
    return json.dumps(asked, sort_keys=True)
