"""Jobs that write to a table of the user's own, count their steps, and are killed or left behind meanwhile."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from rescue_jobs import mark
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from jobplatform import current_job, job
from jobplatform.settings import load_settings

#: The table that ``charge`` writes to, in the schema of the run.
CHARGES = "charges (job_id uuid, attempt int)"
STEPS = 5
DEADLY_STEP = 3


def charge_once() -> bool:
    """Charge in a session of the user's own, and tell whether that was still to be done."""
    running, settings = current_job(), load_settings(os.environ)
    engine = create_engine(settings.sqlalchemy_url, connect_args={"options": f"-c search_path={settings.schema}"})
    with Session(engine) as session, session.begin(), running.effect("charge", session=session) as first:
        if first:
            values = {"job_id": running.id, "attempt": running.attempt}
            session.execute(text("insert into charges values (:job_id, :attempt)"), values)
    engine.dispose()
    return first


def wait_for_release(directory: str) -> None:
    while not (Path(directory) / "release").exists():
        time.sleep(0.05)


@job(max_retries=0)
def charge_then_wait(directory: str) -> bool:
    """Charge, then run until the file ``release`` is there."""
    first = charge_once()
    mark(directory, "charged" if first else "known")
    wait_for_release(directory)
    return first


@job(max_retries=0)
def wait_then_charge(directory: str) -> bool:
    """Run until the file ``release`` is there, then charge."""
    mark(directory, "begun")
    wait_for_release(directory)
    return charge_once()


@job(retry={"base": 0.1, "cap": 0.1})
def count(directory: str) -> int:
    """Count steps from the last checkpoint on; the first run is killed in the middle."""
    running = current_job()
    for step in range(running.state or 0, STEPS):
        mark(directory, f"step{step}")
        if step == DEADLY_STEP and running.attempt == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        assert running.checkpoint(step + 1)
    return running.fence


@job()
def submit_count(directory: str) -> str:
    """Submit a job through the journal, as jobs do."""
    return str(count.submit(directory).id)
