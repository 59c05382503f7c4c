"""Jobs that succeed, fail for good, fail once, or stop their worker's main process for ever."""

from __future__ import annotations

import logging
import os
import signal
import threading
from typing import Any

from celery import signals
from celery.utils.log import get_task_logger

from jobplatform import RetryRule, current_job, job

logger = logging.getLogger(__name__)


@signals.task_received.connect
def hang(request: Any = None, **_: Any) -> None:
    """Never return, in the event loop of the worker that takes a trap."""
    if request.name == "telling_jobs.trap":
        threading.Event().wait()


@job()
def trap() -> None:
    """Hang the worker that takes it."""


@job(logs=True)
def succeed(number: int) -> int:
    """Give the number back."""
    logger.info("number %d is fine", number)
    return number


@job(max_retries=0)
def fail(number: int) -> None:
    """Fail for good."""
    logger.info("number %d is looked at", number)
    print("and printed")
    raise ValueError(f"number {number} is not fine")


@job()
def die_once(number: int) -> int:
    """Kill its own process at the first attempt."""
    get_task_logger(__name__).warning("number %d kills at attempt %d", number, current_job().attempt)
    if current_job().attempt == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


@job(max_retries=2, retry=RetryRule(base=0.01, cap=0.05))
def fail_once(number: int) -> int:
    """Fail at the first attempt."""
    if current_job().attempt == 1:
        raise ConnectionError(f"number {number} has to be asked for again")
    return number
