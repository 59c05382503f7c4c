"""Why a decision was made, in words."""

from __future__ import annotations

from jobplatform.decision import FailedAttempt
from jobplatform.jobs.breaker import Breaker
from jobplatform.jobs.choice import Choice
from jobplatform.jobs.symptom import describe


def span(seconds: float) -> str:
    """Write a time as people say it."""
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 1.95 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"


def held(failed: FailedAttempt, breaker: Breaker, most: float) -> str:
    """Say why a job is held."""
    return (
        f"{describe(failed.error)}: held, as others fail of {breaker.cause} as well ({breaker.reason}); "
        f"goes on when one of them succeeds, in {span(most)} at the latest"
    )[:500]


def waits(failed: FailedAttempt, choice: Choice, most: float) -> str:
    """Say why a job waits for so long."""
    facts = failed.facts
    return (
        f"{describe(failed.error)}; {choice.ever * 100:.0f} % of these succeed within {span(most)}; "
        f"waiting {span(choice.delay)} (retry {facts.retry_count + 1} of {facts.max_retries})"
    )[:500]


def gives_up(failed: FailedAttempt, ever: float, threshold: float) -> str:
    """Say why a job is given up before its retries are."""
    left = failed.facts.max_retries - failed.facts.retry_count
    retries = "one more retry" if left == 1 else f"{left} more retries"
    return (
        f"{describe(failed.error)}; {ever * 100:.0f} % of these succeed with {retries}, "
        f"which is less than {threshold * 100:.0f} %"
    )[:500]


def explores(failed: FailedAttempt, delay: float) -> str:
    """Say that a delay was drawn at random."""
    number, most = failed.facts.retry_count + 1, failed.facts.max_retries
    return f"{describe(failed.error)}: retry {number} of {most} in {delay:.1f} s, drawn at random to learn from"[:500]
