"""Jobs that leak on one worker, that do well, or that let the main process of a worker stand still."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path
from typing import Any

from celery import current_task, signals

from jobplatform import job

MIB = 1024 * 1024
_kept: list[bytearray] = []


@job()
def leak(victim: str, size: int, seconds: float) -> None:
    """Take some time, and on one worker keep so many bytes for ever.

    :param victim: the name of that worker.
    """
    if current_task.request.hostname == victim:
        _kept.append(bytearray(b"x" * size))
    time.sleep(seconds)


@job()
def work(seconds: float) -> None:
    """Take some time, and a few MiB that are given back."""
    taken = bytearray(b"x" * random.randrange(1, 8) * MIB)
    time.sleep(seconds)
    del taken


@job()
def trap(mark: str) -> str:
    """Run, on whichever worker is handed this second; see below."""
    return mark


@signals.task_received.connect  # type: ignore[untyped-decorator, unused-ignore]
def stand_still(request: Any = None, **_: Any) -> None:
    """Wait for what never comes, in the event loop of the first worker that takes a trap."""
    if request.name == f"{__name__}.trap":
        mark = Path(request.args[0])
        if not mark.exists():
            mark.write_text(f"{request.hostname} {time.time()}")
            threading.Event().wait()
