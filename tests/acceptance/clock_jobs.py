"""Jobs that care for the time, and a client that submits them: ``python clock_jobs.py SCHEDULED_FOR``."""

from __future__ import annotations

import sys

from jobplatform import current_job, job
from jobplatform.celery import app

#: Seconds from a failure to the next attempt, and for which jobs are put off.
LATER = 2.0
#: Seconds after which a job is not wanted any more: less than clocks are wrong by.
WANTED = 1_800.0


@job()
def at_once() -> None:
    """Do nothing."""


@job()
def put_off(how: str) -> None:
    """Do nothing, later."""


@job(max_retries=1, retry={"base": LATER, "factor": 1.0, "jitter": False})
def stumble() -> None:
    """Fail, then succeed."""
    if current_job().attempt == 1:
        raise ConnectionError("not yet")


def submit_all(tasks: object, scheduled_for: str) -> None:
    """Submit a job of each kind."""
    named = {name: tasks[f"clock_jobs.{name}"] for name in ("at_once", "put_off", "stumble")}  # type: ignore[index]
    named["at_once"].submit()
    named["at_once"].using(expires=WANTED).submit()
    named["at_once"].apply_async(expires=WANTED, headers={"sent": "as Celery does"})
    named["put_off"].using(countdown=LATER).submit("countdown")
    named["put_off"].using(eta=scheduled_for).submit("eta")
    named["put_off"].apply_async(("as Celery does",), countdown=LATER, headers={"sent": "as Celery does"})
    named["stumble"].submit()


#: How many that are.
JOBS = 7

if __name__ == "__main__":
    app.loader.import_default_modules()
    submit_all(app.tasks, sys.argv[1])
