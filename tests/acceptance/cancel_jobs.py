"""Jobs that are cancelled, and what they make of it."""

from __future__ import annotations

import time
from pathlib import Path

from rescue_jobs import mark

from jobplatform import current_job, job


@job(max_retries=3, retry={"base": 0.1, "cap": 0.1})
def polite(directory: str, name: str) -> str:
    """Run until it is cancelled, then say so and fail."""
    mark(directory, name)
    while not current_job().cancelled:
        time.sleep(0.05)
    (Path(directory) / f"{name}.noticed").touch()
    raise RuntimeError("stopped, as it was cancelled")


@job(max_retries=3, retry={"base": 0.1, "cap": 0.1})
def stubborn(directory: str, name: str) -> None:
    """Run until its process is killed."""
    mark(directory, name)
    while True:
        time.sleep(0.05)
