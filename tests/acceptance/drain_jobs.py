"""Jobs that are under way when their worker leaves."""

from __future__ import annotations

import time
from pathlib import Path

from rescue_jobs import mark

from jobplatform import current_job, job


@job(max_retries=0)
def stages(directory: str) -> int:
    """Save a state and go on from it once the file ``release`` is there; no retry is allowed."""
    running = current_job()
    state = running.state
    mark(directory, f"from {state}")
    if state is None:
        assert running.checkpoint("half")
    while not (Path(directory) / "release").exists():
        time.sleep(0.05)
    return running.attempt


@job(max_retries=0)
def patient(directory: str) -> int:
    """Save how far it is again and again, until the file ``release`` is there; no retry is allowed."""
    running = current_job()
    done = running.state or 0
    mark(directory, "again" if done else "first")
    while not (Path(directory) / "release").exists():
        done += 1
        running.checkpoint(done)
        time.sleep(0.05)
    return done
