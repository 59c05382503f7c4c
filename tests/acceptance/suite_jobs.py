"""The jobs of the worker suite: plain Celery tasks, as an existing application has them, and job types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from celery import group, shared_task

from jobplatform import current_job, job


@shared_task
def add(*numbers: int) -> int:
    """Add numbers."""
    return sum(numbers)


@shared_task
def total(numbers: Sequence[int], more: int = 0) -> int:
    """Add up the results of a group."""
    return sum(numbers) + more


@shared_task
def fail(*_: Any) -> None:
    """Fail."""
    raise ValueError("on purpose")


@shared_task
def remember(what: Any) -> Any:
    """Be called with a result, or as an errback with the id of what failed."""
    return what


@shared_task(autoretry_for=(ConnectionError,), max_retries=3, default_retry_delay=0.05)
def flaky_task(number: int) -> int:
    """Fail once, as a plain task with ``autoretry_for``."""
    return _succeed_later(number)


@job(max_retries=3, retry={"base": 0.05})
def flaky_job(number: int) -> int:
    """Fail once, as a job type that the platform retries."""
    return _succeed_later(number)


@job(bind=True, max_retries=1, retry={"base": 0.05})
def tell_header(self: Any) -> str | None:
    """Tell, at the second attempt, what the caller's own header said."""
    if current_job().attempt == 1:
        raise ConnectionError("not yet")
    header: str | None = self.request.get("color")
    return header


@job(max_retries=1, retry={"base": 0.05})
def hopeless_job(number: int) -> None:
    """Fail as often as it is tried."""
    raise ConnectionError(f"no luck with {number}")


@job
def double(number: int) -> int:
    """Double a number."""
    return number * 2


@job(bind=True)
def replace_itself(self: Any, number: int) -> int:
    """Let a chain of other jobs stand in for this one."""
    return self.replace(add.s(number, 1) | add.s(10))


@job(bind=True, max_retries=3, retry={"base": 0.05})
def replace_itself_later(self: Any, number: int) -> int:
    """Fail once, then let another job stand in for this one."""
    _succeed_later(number)
    return self.replace(double.s(number))


@shared_task(bind=True)
def fan_out(self: Any, number: int) -> int:
    """Let as many jobs as asked for, and their sum, stand in for this one."""
    return self.replace(group(add.s(1, item) for item in range(number)) | total.s())


@job
def submit_others(numbers: list[int]) -> list[str]:
    """Submit a job for each number from inside a job."""
    return [double.submit(number).id for number in numbers]


def _succeed_later(number: int) -> int:
    if current_job().attempt == 1:
        raise ConnectionError(f"no luck with {number} yet")
    return number
