"""Jobs that are paused, and what they make of it."""

from __future__ import annotations

import time
from pathlib import Path

from rescue_jobs import mark

from jobplatform import current_job, job


@job(max_retries=3, retry={"base": 0.1, "cap": 0.1})
def steps(directory: str, name: str, count: int) -> int:
    """Do some steps, each once, with a checkpoint after every one."""
    current = current_job()
    for step in range((current.state or 0), count):
        mark(directory, f"{name}.{step}")
        while step >= 2 and not (Path(directory) / "release").exists():
            current.checkpoint(step)
            time.sleep(0.05)
        current.checkpoint(step + 1)
    return count


@job
def other(directory: str, name: str) -> None:
    """Leave a mark."""
    mark(directory, name)
