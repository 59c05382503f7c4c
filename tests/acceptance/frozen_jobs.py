"""A job whose first receipt lets the worker's main process stand still for ever."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from celery import signals

from jobplatform import job

_lock = threading.Lock()


@job(max_retries=0)
def seize(directory: str) -> str:
    """Run, on whichever worker is handed this second."""
    return directory


@signals.task_received.connect
def stand_still(request: Any = None, **_: Any) -> None:
    """Wait for a lock that is never released, as a callback may; once."""
    if request.name != "frozen_jobs.seize":
        return
    found = Path(request.args[0]) / "seized"
    if not found.exists():
        found.write_text(request.hostname)
        _lock.acquire()
        _lock.acquire()
