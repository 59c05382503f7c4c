"""Rows as lines of JSON in files, on disk before they are deleted."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import IO


class JobFiles:
    """Append lines to a file of one's own in a directory, a new one each day and after each fault.

    A file whose process died may end within a line, which is in a later file once more: a line counts if it ends.

    :param directory: made if it is missing, for nobody else to read.
    :param noun: what the names of the files begin with.
    """

    def __init__(self, directory: Path, noun: str = "jobs") -> None:
        self.directory = directory
        self.noun = noun
        self._file: IO[bytes] | None = None
        self._day = ""

    def append(self, lines: Sequence[str], now: datetime) -> str:
        """Append lines, and return when they are on disk; gives the name of the file.

        :raises OSError: when they may not be.
        """
        try:
            file = self._open(now)
            file.write("".join(f"{line}\n" for line in lines).encode())
            file.flush()
            os.fsync(file.fileno())
        except OSError:
            self.close()
            raise
        return Path(str(file.name)).name

    def close(self) -> None:
        """Close the file; the next line begins another."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _open(self, now: datetime) -> IO[bytes]:
        day = f"{now:%Y%m%d}"
        if self._file is not None and day == self._day:
            return self._file
        self.close()
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = f"{self.noun}-{now:%Y%m%dT%H%M%S}-{socket.gethostname()}-{uuid.uuid4().hex[:12]}.jsonl"
        self._file, self._day = _exclusive(self.directory / name), day
        # The name of a new file is on disk when its directory is.
        folder = os.open(self.directory, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return self._file


def _exclusive(path: Path) -> IO[bytes]:
    def opener(name: str, flags: int) -> int:
        return os.open(name, flags | os.O_EXCL, 0o600)

    return open(path, "ab", opener=opener)
