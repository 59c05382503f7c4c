"""Jobs that end in every way that a job can end; each start is noted in a file beside the platform's own tables."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import Any

from celery import shared_task
from celery.exceptions import Ignore, Reject, SoftTimeLimitExceeded

from jobplatform import current_job, job

#: The variable that names the file to which every start appends a line.
LEDGER = "OUTCOME_LEDGER"
#: Backoff that a test can wait for.
SOON = {"base": 0.05}
#: More than the result limit of the test.
TOO_MUCH = 20_000


def note(word: str) -> None:
    """Append a line to the ledger in one write, so that those of many processes never mix."""
    descriptor = os.open(os.environ[LEDGER], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(descriptor, f"{word}\n".encode())
    finally:
        os.close(descriptor)


def note_start() -> int:
    """Note that an attempt has started and return its number."""
    running = current_job()
    note(f"{running.id}:{running.attempt}")
    return running.attempt


class Hopeless(Exception):
    """An error that is never retried."""


class Special(Hopeless):
    """An error whose base class is never retried."""


class Stubborn(Exception):
    """An error that cannot be pickled, since it takes more than it tells."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} {second}")


class Mute(Exception):
    """An error that cannot say what it is."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


@job
def succeed(number: int) -> int:
    """Succeed."""
    note_start()
    return number * 2


@job
def succeed_strangely(number: int) -> Any:
    """Succeed with a value that is no JSON."""
    note_start()
    return {"number": number, "what": object()}


@job(retry={"never": ("Hopeless",)})
def fail_hopelessly(number: int) -> None:
    """Fail with an error that the retry rule names."""
    note_start()
    raise Special(number)


@job(max_retries=2, retry=SOON)
def fail_always(number: int) -> None:
    """Fail until no retry is left."""
    note_start()
    raise ConnectionError(f"no luck with {number}")


@job(max_retries=3, retry=SOON)
def fail_once(number: int) -> int:
    """Fail, then succeed."""
    if note_start() == 1:
        raise ConnectionError(f"no luck with {number} yet")
    return number


@job(max_retries=0)
def fail_stubbornly(number: int) -> None:
    """Fail with an error that no other process can unpickle."""
    note_start()
    raise Stubborn("stubborn", str(number))


@job(max_retries=0)
def fail_mutely(number: int) -> None:
    """Fail with an error that raises when it is asked for its text."""
    note_start()
    raise Mute(number)


@job(bind=True, max_retries=2)
def retry_itself(self: Any, number: int) -> int:
    """Ask for one retry, then succeed."""
    if note_start() == 1:
        raise self.retry(countdown=0.05)
    return number


@job(bind=True, max_retries=1)
def retry_too_often(self: Any, number: int) -> None:
    """Ask for retries until none is left."""
    note_start()
    raise self.retry(exc=ConnectionError(f"still no luck with {number}"), countdown=0.05)


@shared_task(autoretry_for=(ConnectionError,), max_retries=3, default_retry_delay=0.05)
def autoretry_once(number: int) -> int:
    """Fail once in a plain Celery task that lists the error in ``autoretry_for``."""
    if note_start() == 1:
        raise ConnectionError(f"no luck with {number} yet")
    return number


@shared_task
def fail_plainly(number: int) -> None:
    """Fail in a plain Celery task that asks for no retry."""
    note_start()
    raise KeyError(number)


@job(soft_timeout=1.0, timeout=20.0, max_retries=0)
def outstay_soft_limit(number: int) -> None:
    """Run until the soft time limit ends it."""
    note_start()
    time.sleep(15)


@job(soft_timeout=1.0, timeout=20.0, max_retries=0)
def obey_soft_limit(number: int) -> str:
    """Clean up when the soft time limit comes."""
    note_start()
    try:
        time.sleep(15)
    except SoftTimeLimitExceeded:
        return "cleaned up"
    return "not interrupted"


@job(timeout=1.0, max_retries=0)
def outstay_hard_limit(number: int) -> None:
    """Run until the hard time limit kills it."""
    note_start()
    time.sleep(15)


@job(max_retries=0)
def exit_politely(number: int) -> None:
    """End the process as programs do."""
    note_start()
    sys.exit(3)


@job(max_retries=0)
def exit_at_once(number: int) -> None:
    """End the process without any clean-up."""
    note_start()
    os._exit(3)


@job(max_retries=0)
def kill_itself(number: int) -> None:
    """Send the own process SIGKILL."""
    note_start()
    os.kill(os.getpid(), signal.SIGKILL)


@job(max_retries=1, retry=SOON)
def kill_itself_once(number: int) -> int:
    """Send the own process SIGKILL, and succeed in the next one."""
    if note_start() == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


@job(max_retries=0)
def kill_child(number: int) -> int:
    """Start a program, send it SIGKILL, and live on."""
    note_start()
    with subprocess.Popen(["sleep", "15"]) as child:
        child.send_signal(signal.SIGKILL)
        return child.wait()


@job
def ignore(number: int) -> None:
    """Say that the outcome does not matter."""
    note_start()
    raise Ignore


@job
def reject(number: int) -> None:
    """Reject the message for good."""
    note_start()
    raise Reject("not mine", requeue=False)


@job
def return_too_much(number: int) -> str:
    """Return more than the result limit."""
    note_start()
    return "x" * TOO_MUCH


@job
def wait_for_ever(number: int) -> None:
    """Run until somebody ends it."""
    note_start()
    time.sleep(60)
