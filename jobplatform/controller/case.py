"""A failed attempt, as a model sees it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobplatform.decision import FailedAttempt, Outcome
from jobplatform.jobs.symptom import may_pass

#: Kinds of errors that say something of what follows, by class name.
_KINDS = ("TimeoutError", "ConnectionError", "OSError")


#: What a failure has in common with others, from the special to the general.
LEVELS = ("error_of_type", "fingerprint", "dependency", "job_type")


def groups_of(case: FailedAttempt | Outcome, job_type: str) -> dict[str, str | None]:
    """Name what a failure has in common with others, by level."""
    names = (f"{case.fingerprint} {job_type}", case.fingerprint, case.dependency, job_type)
    return dict(zip(LEVELS, names, strict=True))


def extra_of(failed: FailedAttempt) -> dict[str, float | None]:
    """Give what is known of a failure besides what became of others; times in seconds."""
    facts, error = failed.facts, failed.error
    first = failed.at if facts.first_failed_at is None else facts.first_failed_at
    return {
        "retries": float(facts.retry_count),
        "retries_left": float(max(0, facts.max_retries - facts.retry_count)),
        "elapsed": max(0.0, failed.at - first),
        "left": facts.left,
        "after": _number(error.get("after")),
        "status": _number(error.get("status")),
        "kind": _kind(error),
        "passes": float(may_pass(failed)),
        "deaths": float(facts.deaths),
    }


def _kind(error: Mapping[str, Any]) -> float:
    classes = error.get("classes", ())
    return float(next((place for place, name in enumerate(_KINDS, 1) if name in classes), 0))


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
