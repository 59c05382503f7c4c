"""Jobs that ask the platform for what running jobs may have."""

from __future__ import annotations

from jobplatform import RetryRule, current_job, job

SOON = RetryRule(base=0.2, cap=0.5)


@job
def ask(number: int) -> int:
    running = current_job()
    running.progress(1, 2)
    running.checkpoint({"number": number, "before": running.state})
    with running.effect("asked"):
        return number + 1 + len(running.upstream)


@job(max_retries=1, retry=SOON)
def fail_once(number: int) -> int:
    if current_job().attempt == 1:
        raise ConnectionError("the first attempt fails")
    return number


@job(max_retries=0)
def refuse(number: int) -> int:
    if number < 0:
        raise ValueError("it must not be below zero")
    return number


@job
def tick() -> str:
    return "tock"
