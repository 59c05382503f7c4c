"""What the code of an attempt logs, kept with it: the last lines, bounded, also of an attempt that is killed."""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar, Token
from typing import Any

from celery.signals import after_setup_task_logger

from jobplatform.journal.entry import clean
from jobplatform.journal.inbound import ATTEMPT_HEADER
from jobplatform.journal.recording import Recording

#: The most lines that are kept, and the most characters of one.
_LINES, _LINE = 500, 8_192
#: Loggers that tell what the journal tells as well.
_TOLD_ELSEWHERE = ("celery.app.trace", "celery.worker", "celery.pool")
#: For so long the file of a process is kept that is gone: its job may only now be found to have died with it.
_KEPT_SECONDS = 60.0
_FORMAT = "%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s"


class Capture:
    """Keep the last lines of one attempt.

    :param limit: so many characters at most.
    :param shared: keeps what is here so far where it outlives this process; None where nothing does.
    """

    __slots__ = ("_cut", "_lines", "_size", "limit", "shared")

    def __init__(self, limit: int, shared: Shared | None = None) -> None:
        self.limit = limit
        self.shared = shared
        self._lines: deque[str] = deque()
        self._size = 0
        self._cut = 0

    def add(self, line: str) -> None:
        """Take a line in, and leave out the oldest that there is no room for."""
        line = line if len(line) <= _LINE else f"{line[:_LINE]} ... ({len(line)} characters)"
        self._lines.append(line)
        self._size += len(line) + 1
        while self._lines and (self._size > self.limit or len(self._lines) > _LINES):
            self._size -= len(self._lines.popleft()) + 1
            self._cut += 1
        if self.shared is not None:
            self.shared.add(line, self._lines, self._cut)

    def taken(self, mask: Callable[[str], str]) -> dict[str, Any] | None:
        """Give the text, and how many lines before it were cut; None when nothing was logged."""
        return told("\n".join(self._lines), self._cut, mask) if self._lines or self._cut else None


def told(text: str, cut: int, mask: Callable[[str], str]) -> dict[str, Any]:
    """Give what the journal says of the log of an attempt."""
    return {"text": clean(mask(text), 2 * len(text) + _LINE), "cut": cut}


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
    kept = lines[-_LINES:]
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
            yield lambda pid: self._files.update({pid: fd})
        finally:
            if fd not in self._files.values():
                os.close(fd)
            self.own = None

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

_current: ContextVar[Capture | None] = ContextVar("jobplatform_capture", default=None)
#: That of a pool process, which runs one job at a time, in whatever threads.
_only: list[Capture] = []
#: The process in which loggers are listened to.
_listening: list[int] = []


class _Catcher(logging.Handler):
    """Hand what is logged to the capture of the attempt whose code logs it."""

    def emit(self, record: logging.LogRecord) -> None:
        capture = _current.get() or (_only[-1] if _only else None)
        if capture is None or record.name.startswith(_TOLD_ELSEWHERE):
            return
        try:
            capture.add(self.format(record))
        except Exception:  # noqa: BLE001 - as all handlers do: what is logged wrongly fails no job
            self.handleError(record)


def _make_catcher() -> _Catcher:
    made = _Catcher()
    formatter = logging.Formatter(_FORMAT, "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    made.setFormatter(formatter)
    return made


_catcher = _make_catcher()


def _listen(**_: Any) -> None:
    """Hear of all loggers: those of Celery's tasks pass nothing on to the root."""
    for name in ("", "celery.task"):
        logger = logging.getLogger(name)
        if _catcher not in logger.handlers and (not name or not logger.propagate):
            logger.addHandler(_catcher)


after_setup_task_logger.connect(_listen, weak=False)


class Capturing:
    """Capture what a block logs.

    :param wanted: nothing is captured otherwise.
    """

    __slots__ = ("alone", "capture", "request", "task_id", "token")

    def __init__(self, wanted: bool, task_id: str, request: Mapping[str, Any]) -> None:
        self.capture = Capture(Recording.log_limit) if wanted else None
        self.task_id = task_id
        self.request = request
        self.token: Token[Capture | None] | None = None
        self.alone = False

    def __enter__(self) -> Capture | None:
        if self.capture is not None:
            self._begin(self.capture)
        return self.capture

    def _begin(self, capture: Capture) -> None:
        if os.getpid() not in _listening:
            _listening[:] = [os.getpid()]
            _listen()
        fd = SHARED_FILES.own
        if fd is not None:
            # A process of a pool runs one job at a time, in whatever threads.
            self.alone = True
            capture.shared = Shared(fd, attempt_key(self.task_id, self.request), 2 * capture.limit + _LINE)
            _only.append(capture)
        self.token = _current.set(capture)

    def __exit__(self, *_: object) -> None:
        if self.token is not None:
            _current.reset(self.token)
        if self.alone:
            _only.clear()


def attempt_key(task_id: str, request: Mapping[str, Any]) -> str:
    """Name an attempt, of which one runs in a process at a time."""
    return f"{task_id}/{request.get(ATTEMPT_HEADER) or request.get('retries') or 0}"


def rule_of(task: Any) -> str:
    """Tell of which attempts of a job type the log is kept: ``on``, ``failed`` or ``off``."""
    if Recording.log_limit <= 0:
        return "off"
    declared = getattr(getattr(task, "job", None), "logs", None)
    return Recording.capture_logs if declared is None else "on" if declared else "off"
