"""Files in memory in which pool processes keep what their attempts log, should they be killed."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from jobplatform.journal.entry import clean
from jobplatform.journal.recording import Recording

#: The most lines that are kept of an attempt, and the most characters of one.
MOST_LINES, LONGEST_LINE = 500, 8_192
#: For so long the file of a process is kept that is gone: its job may only now be found to have died with it.
_KEPT_SECONDS = 60.0


def told(text: str, cut: int, mask: Callable[[str], str]) -> dict[str, Any]:
    """Give what the journal says of the log of an attempt."""
    return {"text": clean(mask(text), 2 * len(text) + LONGEST_LINE), "cut": cut}


class Shared:
    """A file in memory that a pool process writes to, and that its worker's main process reads when it has died.

    :param key: names the attempt.
    :param most: bytes above which the file is written anew.
    """

    def __init__(self, fd: int, key: str, most: int) -> None:
        self.fd = fd
        self.key = key
        self.most = most
        self._size = 0

    def add(self, line: str, lines: deque[str], cut: int) -> None:
        """Write a line, or all of them if there is nothing of this attempt or too much."""
        raw = f"{line}\n".encode(errors="replace")
        with suppress(OSError):
            if not self._size or self._size + len(raw) > self.most:
                raw = "\n".join((f"{self.key} {cut}", *lines, "")).encode(errors="replace")
                os.ftruncate(self.fd, 0)
                self._size = 0
            os.pwrite(self.fd, raw, self._size)
            self._size += len(raw)


def read_shared(fd: int, key: str, limit: int, mask: Callable[[str], str]) -> dict[str, Any] | None:
    """Read what a process has written of an attempt; None when it has not, or nothing since it was another's."""
    raw = os.pread(fd, os.fstat(fd).st_size, 0).decode(errors="replace")
    head, _, text = raw.partition("\n")
    name, _, cut = head.rpartition(" ")
    if name != key:
        return None
    lines = text.splitlines()
    kept = lines[-MOST_LINES:]
    while sum(map(len, kept)) + len(kept) > limit:
        kept = kept[1:]
    return told("\n".join(kept), int(cut) + len(lines) - len(kept), mask)


class SharedFiles:
    """The files of the processes of this worker, by process id."""

    def __init__(self) -> None:
        #: That of this process, if it is one of a pool.
        self.own: int | None = None
        self._files: dict[int, int] = {}
        #: When processes were first found to be gone.
        self._gone: dict[int, float] = {}

    @contextmanager
    def lending(self) -> Iterator[Callable[[int], None]]:
        """Let the process that is forked in the block have a file; what it gives is to be told the process."""
        if Recording.log_limit <= 0 or not hasattr(os, "memfd_create"):
            yield lambda pid: None
            return
        self._forget_gone()
        self.own = os.memfd_create("jobplatform-log")
        fd = self.own
        try:
            yield lambda pid: self._keep(pid, fd)
        finally:
            if fd not in self._files.values():
                os.close(fd)
            self.own = None

    def _keep(self, pid: int, fd: int) -> None:
        before = self._files.pop(pid, None)
        if before is not None:
            # The number of a process that is gone is that of another now.
            os.close(before)
        self._gone.pop(pid, None)
        self._files[pid] = fd

    def _forget_gone(self) -> None:
        """Let go of the files of processes that have been gone for long, so that all is known of their jobs."""
        now = time.monotonic()
        for pid in list(self._files):
            if not _is_there(pid) and now - self._gone.setdefault(pid, now) > _KEPT_SECONDS:
                del self._gone[pid]
                os.close(self._files.pop(pid))

    def read(self, pid: int | None, key: str) -> dict[str, Any] | None:
        """Give what a process has logged of an attempt."""
        fd = self._files.get(pid or 0)
        if fd is None:
            return None
        try:
            return read_shared(fd, key, Recording.log_limit, Recording.mask)
        except (OSError, ValueError):
            return None


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


#: Those of this worker.
SHARED_FILES = SharedFiles()
