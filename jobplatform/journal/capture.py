"""What the code of an attempt logs, kept with it: the last lines, bounded, also of an attempt that is killed."""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextvars import ContextVar, Token
from typing import Any

from jobplatform.journal.inbound import ATTEMPT_HEADER
from jobplatform.journal.recording import Recording
from jobplatform.journal.shared_log import LONGEST_LINE, MOST_LINES, SHARED_FILES, Shared, told

#: Loggers that tell what the journal tells as well.
_TOLD_ELSEWHERE = ("celery.app.trace", "celery.worker", "celery.pool")
_FORMAT = "%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s"


class Capture:
    """Keep the last lines of one attempt.

    :param limit: so many characters at most.
    :param shared: keeps what is here so far where it outlives this process; None where nothing does.
    :param mask: takes secrets out of each line, so that none is kept anywhere.
    """

    __slots__ = ("_cut", "_lines", "_mask", "_size", "limit", "shared")

    def __init__(self, limit: int, shared: Shared | None = None, mask: Callable[[str], str] | None = None) -> None:
        self.limit = limit
        self.shared = shared
        self._mask = mask
        self._lines: deque[str] = deque()
        self._size = 0
        self._cut = 0

    def add(self, line: str) -> None:
        """Take a line in, and leave out the oldest that there is no room for."""
        line = line if self._mask is None else self._mask(line)
        line = line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]} ... ({len(line)} characters)"
        self._lines.append(line)
        self._size += len(line) + 1
        while self._lines and (self._size > self.limit or len(self._lines) > MOST_LINES):
            self._size -= len(self._lines.popleft()) + 1
            self._cut += 1
        if self.shared is not None:
            self.shared.add(line, self._lines, self._cut)

    def taken(self, mask: Callable[[str], str]) -> dict[str, Any] | None:
        """Give the text, and how many lines before it were cut; None when nothing was logged."""
        return told("\n".join(self._lines), self._cut, mask) if self._lines or self._cut else None


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


def _listen() -> None:
    """Hear of all loggers: those of Celery's tasks pass nothing on to the root."""
    for name in ("", "celery.task"):
        logger = logging.getLogger(name)
        if _catcher not in logger.handlers and (not name or not logger.propagate):
            logger.addHandler(_catcher)


class Capturing:
    """Capture what a block logs.

    :param wanted: nothing is captured otherwise.
    :param mask: takes secrets out of each line.
    """

    __slots__ = ("alone", "capture", "request", "task_id", "token")

    def __init__(self, wanted: bool, task_id: str, request: Mapping[str, Any], mask: Callable[[str], str]) -> None:
        self.capture = Capture(Recording.log_limit, mask=mask) if wanted else None
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
            capture.shared = Shared(fd, attempt_key(self.task_id, self.request), 2 * capture.limit + LONGEST_LINE)
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
