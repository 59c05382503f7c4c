"""Jobs that hang their worker, leak its memory, or do well."""

from __future__ import annotations

import threading
import time
from typing import Any

from celery import current_task, signals

from jobplatform import job

_kept: list[bytearray] = []


@signals.task_received.connect
def hang(request: Any = None, **_: Any) -> None:
    """Never return, in the event loop of the worker that takes a trap."""
    if request.name == "health_jobs.trap":
        threading.Event().wait()


@job()
def trap() -> None:
    """Hang the worker that takes it."""


@job()
def leak(size: int, seconds: float) -> None:
    """Keep so many bytes for ever."""
    _kept.append(bytearray(b"x" * size))
    time.sleep(seconds)


@job()
def leak_on(victim: str, size: int, seconds: float) -> None:
    """Keep so many bytes for ever, on one worker."""
    if current_task.request.hostname == victim:
        _kept.append(bytearray(b"x" * size))
    time.sleep(seconds)


@job()
def nap(seconds: float) -> None:
    """Take some time, and some memory that is given back."""
    taken = bytearray(b"x" * 8_000_000)
    time.sleep(seconds)
    del taken
