"""Jobs that try the pool: large on the way in and out, or fatal to their process."""

from __future__ import annotations

import os
from pathlib import Path

from jobplatform import job


@job()
def echo(text: str) -> str:
    """Give the text back."""
    return text


@job()
def number(value: int) -> int:
    """Give the number back."""
    return value


@job(max_retries=0)
def die(directory: str, name: str) -> None:
    """Leave a mark for this start, and end the process without any clean-up."""
    fd = os.open(Path(directory) / name, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    os.write(fd, b"1")
    os._exit(3)
