"""Jobs that end the process that runs them."""

from __future__ import annotations

import os
import time
from pathlib import Path

from rescue_jobs import mark

from jobplatform import current_job, job

#: What the hog holds while it waits for somebody to see it, and the most that it ever takes, in bytes.
HELD = 96 * 1024 * 1024
MOST = 2 * 1024 * 1024 * 1024
_STEP = 16 * 1024 * 1024
RULE = {"base": 0.1, "cap": 0.1}


@job(retry=RULE)
def hog(directory: str, name: str) -> int:
    """Hold much memory until it was seen in this attempt, and then take more and more."""
    mark(directory, name)
    held = [b"x" * HELD]
    while not (Path(directory) / f"seen{current_job().attempt}").exists():
        time.sleep(0.05)
    while len(held) * _STEP < MOST:
        held.append(os.urandom(_STEP))
        time.sleep(0.05)
    return len(held)


@job(retry=RULE)
def quit_at_once(directory: str, name: str) -> None:
    """End the process in a way that no code of it notices."""
    mark(directory, name)
    os._exit(7)
