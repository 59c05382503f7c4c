"""A training in a process of its own, which ends with ours."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import IO

from jobplatform.settings import Settings

logger = logging.getLogger(__name__)

_LONGEST = timedelta(minutes=10)
#: What a process wrote last is looked for in so many bytes.
_TAIL = 8_192
#: The program trains for as long as its standard input is open: it closes when we are gone, even by SIGKILL.
COMMAND = (sys.executable, "-m", "jobplatform.learning", "--while-stdin-is-open")


class Training:
    """Start a training, watch it and end it; there is one at a time.

    :param settings: where the rows are.
    :param command: the program.
    :param longest: it is killed after so long.
    """

    def __init__(self, settings: Settings, command: Sequence[str] = COMMAND, longest: timedelta = _LONGEST) -> None:
        self.settings = settings
        self.command = command
        self.longest = longest
        self.started: datetime | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process that trains, None when none does."""
        return None if self._process is None else self._process.pid

    def start(self, now: datetime) -> None:
        """Start the program; where the rows are is told in its environment, which other users cannot see."""
        place = {"DATABASE_URL": self.settings.database_url, "JOBPLATFORM_SCHEMA": self.settings.schema}
        self.started = now
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - it is closed when the process has ended
        self._process = subprocess.Popen(
            self.command,
            env={**os.environ, **place},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._errors,
            start_new_session=True,
        )
        logger.info("a training began (process %d)", self._process.pid)

    def ended(self, now: datetime) -> str | None:
        """Look at the process: None while it runs or when there is none, else what went wrong, "" when nothing did."""
        process = self._process
        if process is None or self.started is None:
            return None
        if process.poll() is None and now - self.started <= self.longest:
            return None
        late = process.poll() is None
        words = self._end()
        if late:
            return f"it took longer than {self.longest.total_seconds():.0f} s and was killed"
        return f"exit {process.returncode}: {words or 'it said nothing'}" if process.returncode else ""

    def kill(self) -> None:
        """End the process, if there is one."""
        if self._process is not None:
            self._end()

    def _end(self) -> str:
        """Leave nothing of the process behind; returns the last line of its errors."""
        process, errors = self._process, self._errors
        self._process = self._errors = None
        if process is None or errors is None:
            return ""
        process.kill()
        process.wait()
        if process.stdin is not None:
            process.stdin.close()
        with errors:
            errors.seek(max(0, errors.seek(0, os.SEEK_END) - _TAIL))
            lines = errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""
