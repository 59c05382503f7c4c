"""Jobs that write down when they run, so that somebody else can tell how many did at once."""

from __future__ import annotations

import os
import time

from jobplatform import current_job, job


def note(path: str, what: str) -> None:
    """Write a line: what, which attempt of which job, in which process, and when."""
    line = f"{what} {current_job().id}:{current_job().attempt} {os.getpid()} {time.monotonic_ns()}\n"
    fd = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    os.write(fd, line.encode())
    os.close(fd)


@job(slots=7)
def bounded(path: str, seconds: float) -> None:
    """Run for some time; seven do at once."""
    note(path, "begin")
    time.sleep(seconds)
    note(path, "end")


@job(limit_key="tenant:{tenant}")
def keyed(path: str, seconds: float) -> None:
    """Run for some time under the limits of a tenant."""
    note(path, "begin")
    time.sleep(seconds)
    note(path, "end")
