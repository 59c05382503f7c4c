"""Jobs that have a deadline, and what they make of it."""

from __future__ import annotations

import time
from pathlib import Path

from celery.exceptions import SoftTimeLimitExceeded
from rescue_jobs import mark

from jobplatform import current_job, job


@job(timeout=60)
def endless(directory: str, name: str) -> None:
    """Run until the process is ended."""
    mark(directory, name)
    while True:
        time.sleep(0.05)


@job(timeout=60, soft_timeout=50)
def tidy(directory: str, name: str) -> str:
    """Clean up when the deadline is near."""
    mark(directory, name)
    try:
        while True:
            time.sleep(0.05)
    except SoftTimeLimitExceeded:
        return "cleaned up"


@job(soft_timeout=50)
def untidy(directory: str, name: str) -> None:
    """Let the warning pass through."""
    mark(directory, name)
    while True:
        time.sleep(0.05)


@job
def careful(directory: str, name: str) -> None:
    """Save a state over and over again."""
    mark(directory, name)
    while True:
        current_job().checkpoint(1)
        time.sleep(0.05)


@job(retry={"base": 0.0})
def watchful(directory: str, name: str) -> None:
    """Run until it is told to stop, and fail."""
    mark(directory, name)
    current = current_job()
    while not current.cancelled:
        time.sleep(0.05)
    assert current.remaining() == 0
    raise RuntimeError("stopped")


@job
def second_time(directory: str, name: str) -> float:
    """Run for too long, and be quick when it is run once more."""
    mark(directory, name)
    current = current_job()
    while current.attempt == 1:
        time.sleep(0.05)
    left = current.remaining()
    assert current.deadline is not None
    assert left is not None
    return left


@job
def unbounded(directory: str, name: str) -> bool:
    """Tell whether it has no deadline."""
    mark(directory, name)
    return current_job().deadline is None and current_job().remaining() is None


def starts(directory: Path, name: str) -> int:
    """Count how often a job has begun."""
    found = directory / name
    return len(found.read_text().splitlines()) if found.exists() else 0
