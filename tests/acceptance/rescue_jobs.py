"""Jobs that a dying worker leaves behind."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from jobplatform import current_job, job


def mark(directory: str, name: str) -> None:
    """Leave a mark for this start: a line with the attempt."""
    fd = os.open(Path(directory) / name, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    os.write(fd, f"{current_job().attempt}\n".encode())
    os.close(fd)


@job(max_retries=0)
def wait_for(directory: str, name: str) -> str:
    """Run until the file ``release`` is there."""
    mark(directory, name)
    while not (Path(directory) / "release").exists():
        time.sleep(0.05)
    return f"{current_job().attempt}"


@job()
def brief(directory: str, name: str) -> None:
    """End at once."""
    mark(directory, name)


@job(retry={"base": 0.1, "cap": 0.1})
def poison(directory: str, name: str) -> None:
    """Kill the process that runs this."""
    mark(directory, name)
    os.kill(os.getpid(), signal.SIGKILL)


@job(max_retries=0)
def steady(directory: str, name: str, seconds: float) -> None:
    """Work for some time."""
    mark(directory, name)
    time.sleep(seconds)


@job()
def parent(directory: str, name: str) -> None:
    """Submit a job."""
    mark(directory, name)
    brief.submit(directory, "child")
