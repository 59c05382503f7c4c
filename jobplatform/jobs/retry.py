"""The static retry policy: what becomes of a failed attempt, decided from values alone.

Exponential backoff with full jitter: the wait is uniform between nothing and ``base * factor ** retries``, capped
(M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015). A server's ``Retry-After`` is a lower
bound (RFC 9110 section 10.2.3).
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import Any

from jobplatform.decision import FailedAttempt, RetryDecision, RetryFacts
from jobplatform.errors import JobOptionError

#: Errors that the same input meets again.
HOPELESS = ("InvalidPayload", "ResultTooLarge", "NotRegistered", "UnknownJobType", "InvalidMessage")
#: A job whose process died so often while it ran is not given to another.
DEADLY = 3
#: Client errors (RFC 9110 section 15.5) that can pass: timeout, too early, too many requests.
PASSING_STATUS = frozenset({408, 425, 429})
#: Names, in the rule of a job that was submitted without its code, what the worker knows better.
GUESSED = "guessed"


@dataclass(frozen=True, slots=True)
class RetryRule:
    """How a job type is retried; times are in seconds.

    ``never`` names exception classes (or base classes of them) that go straight to the dead letters. Without
    ``automatic`` only a job that asks for it (``self.retry``, ``autoretry_for``) is retried. ``learned`` lets a model
    choose the delay, once it has won against this rule; it gives a job up whose foretold chance of ever succeeding is
    below ``threshold``.
    """

    base: float = 20.0
    factor: float = 2.0
    cap: float = 3600.0
    jitter: bool = True
    never: tuple[str, ...] = ()
    automatic: bool = True
    learned: bool = True
    threshold: float = 0.5

    def __post_init__(self) -> None:
        for name, low in (("base", 0.0), ("factor", 1.0), ("cap", 0.0)):
            if getattr(self, name) < low:
                raise JobOptionError(f"retry.{name}: {getattr(self, name)!r} is below {low}; raise it")
        if not 0.0 <= self.threshold <= 1.0:
            raise JobOptionError(f"retry.threshold: {self.threshold!r} is no chance; give a number from 0 to 1")

    @classmethod
    def of(cls, value: Mapping[str, Any] | None) -> RetryRule:
        """Read a rule as a row holds it; unknown keys of newer code are ignored."""
        if not value:
            return DEFAULT
        known = {name: value[name] for name in cls.__dataclass_fields__ if name in value}
        return cls(**{**known, "never": tuple(known.get("never", ()))})

    def as_row(self) -> dict[str, Any] | None:
        """Give the rule as a row holds it: what differs from the default, None when nothing does."""
        return _as_row(self)


DEFAULT = RetryRule()


@cache
def _as_row(rule: RetryRule) -> dict[str, Any] | None:
    default = asdict(DEFAULT)
    return {name: value for name, value in asdict(rule).items() if value != default[name]} or None


def decide(job_id: str, attempt: int, error: Mapping[str, Any], facts: RetryFacts) -> RetryDecision:
    """Decide on a failed attempt; the same attempt of the same job always gets the same answer.

    :param error: what ``journal.failure.describe`` says of the failure.
    """
    return within_deadline(rule(job_id, attempt, error, facts), facts)


def decide_all(attempts: Sequence[FailedAttempt]) -> list[RetryDecision]:
    """Decide on failed attempts, each by itself."""
    return [decide(each.job_id, each.attempt, each.error, each.facts) for each in attempts]


def within_deadline(decision: RetryDecision, facts: RetryFacts) -> RetryDecision:
    """Give a job up whose next attempt would come after its deadline."""
    if decision.delay is None or facts.left is None or decision.delay < facts.left:
        return decision
    left = f"{facts.left:.1f} s before" if facts.left > 0 else f"{-facts.left:.1f} s after"
    return RetryDecision(None, f"deadline: it failed {left} its deadline; {decision.reason}"[:300])


def rule(job_id: str, attempt: int, error: Mapping[str, Any], facts: RetryFacts) -> RetryDecision:
    """Decide on a failed attempt as if it had all the time that it wants."""
    if error.get("deadline"):
        return RetryDecision(None, f"deadline: {error.get('message')}"[:300])
    if error.get("late"):
        what = f"{error.get('type')}: {error.get('message')}"
        return RetryDecision(None, f"deadline: the job saw that it had come, and failed with {what}"[:300])
    facts = informed(facts, error)
    if error.get("interrupted") and not error.get("died"):
        return RetryDecision(0.0, f"{error.get('message')}; goes on at once"[:300], free=True)
    death = _decide_death(error, facts) if error.get("died") else None
    if death is not None:
        return death
    declared = RetryRule.of(facts.retry_rule)
    hopeless = hopelessness(error, facts.retry_count, facts.max_retries, declared)
    if hopeless is not None:
        return RetryDecision(None, hopeless)
    number = facts.retry_count + 1
    kind = error.get("type", "error")
    if "asked" in error:
        asked = float(error["asked"])
        return RetryDecision(asked, f"{kind}: the job asked for retry {number} after {asked:.0f} s")
    return _backoff(random.Random(f"{job_id}:{attempt}"), declared, error, facts, number)


def _decide_death(error: Mapping[str, Any], facts: RetryFacts) -> RetryDecision | None:
    deaths, what = facts.deaths + 1, f"{error.get('type')}: {error.get('message')}"[:200]
    if deaths >= DEADLY:
        return RetryDecision(None, f"poisoned: its process died {deaths} times, at last with {what}")
    if error.get("interrupted"):
        return RetryDecision(0.0, f"{what}; begins again at once (death {deaths} of {DEADLY})", free=True)
    return None


def informed(facts: RetryFacts, error: Mapping[str, Any]) -> RetryFacts:
    """Put what the worker knows of a job's type in place of what a client without its code had to guess."""
    guessed, declared = (facts.retry_rule or {}).get(GUESSED, ()), error.get("declared")
    return replace(facts, **{name: declared[name] for name in guessed}) if declared else facts


def _backoff(
    luck: random.Random, rule: RetryRule, error: Mapping[str, Any], facts: RetryFacts, number: int
) -> RetryDecision:
    ceiling = ceiling_of(rule, facts.retry_count)
    delay = luck.uniform(0.0, ceiling) if rule.jitter else ceiling
    reason = f"{error.get('type', 'error')}: retry {number} of {facts.max_retries} in {delay:.1f} s"
    after = error.get("after")
    if after is not None and after > delay:
        delay = float(after)
        reason = f"{reason.split(':')[0]}: retry {number} in {delay:.1f} s, as Retry-After asks"
        return RetryDecision(delay, reason, flexible=True, least=delay)
    reason += f" (backoff up to {ceiling:.0f} s, {'full jitter' if rule.jitter else 'fixed'})"
    return RetryDecision(delay, reason, flexible=True, least=float(after or 0.0))


def ceiling_of(rule: RetryRule, retries: int) -> float:
    """Give the longest backoff after so many retries, in seconds."""
    return min(rule.cap, rule.base * rule.factor ** min(retries, 64))


def has_had_all_retries(error: Mapping[str, Any], facts: RetryFacts) -> bool:
    """Tell whether a job ends for nothing but that its retries are used up."""
    declared = RetryRule.of(facts.retry_rule)
    used_up = 0 < facts.max_retries <= facts.retry_count and not error.get("died") and "asked" not in error
    return used_up and hopelessness(error, 0, facts.max_retries, declared) is None


def hopelessness(error: Mapping[str, Any], retries: int, max_retries: int, rule: RetryRule) -> str | None:
    """Say why a failed attempt is the last one, None when another may follow.

    :param retries: retries that were used up before this attempt.
    """
    kind, classes, status = error.get("type", "error"), error.get("classes", ()), error.get("status")
    if error.get("final"):
        return f"{kind}: {error.get('message', 'it cannot succeed')}"[:300]
    if retries >= max_retries:
        return f"{kind}: all {max_retries} retries are used up" if max_retries else f"{kind}: no retries are allowed"
    if "asked" in error:
        return None
    if not rule.automatic:
        return f"{kind}: the job type has no automatic retry and the job asked for none"
    never = next((name for name in classes if name in rule.never or name in HOPELESS), None)
    if never is not None:
        return f"{kind}: {never} is never retried"
    if isinstance(status, int) and 400 <= status < 500 and status not in PASSING_STATUS:
        return f"{kind}: status {status} means that the same request fails again"
    return None
