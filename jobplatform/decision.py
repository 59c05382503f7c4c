"""What is known of a failed attempt, what is decided on it, and what comes of that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

#: Seconds up to which each part of a distribution of times reaches; what is longer is in one more part.
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)


@dataclass(frozen=True, slots=True)
class RetryFacts:
    """What a retry decision needs to know of a job beyond its failure."""

    job_id: str
    max_retries: int
    retry_count: int
    retry_rule: Mapping[str, Any] | None
    deaths: int = 0
    attempt: int = 0
    status: str = "PENDING"
    job_type: str = ""
    #: Seconds since the epoch.
    deadline_at: float | None = None
    #: Seconds from the failure to the deadline.
    left: float | None = None
    #: When an attempt of it failed first since it was submitted or replayed, in seconds since the epoch.
    first_failed_at: float | None = None
    #: How often it was held since then.
    times_held: int = 0
    #: Whether the attempt tried what others of its type are held for.
    trial: bool = False


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """An attempt that failed.

    :param at: when, in seconds since the epoch.
    :param error: what ``journal.failure.describe`` says of it.
    :param fingerprint: the identity of the error.
    :param dependency: what the error points at, such as ``host:api.local``; None when that cannot be told.
    :param identity: what the fingerprint is made of.
    """

    job_id: str
    attempt: int
    at: float
    error: Mapping[str, Any]
    facts: RetryFacts
    fingerprint: str = ""
    dependency: str | None = None
    identity: str = ""

    @property
    def cause(self) -> str:
        """What others may fail of as well: the dependency, or else the fingerprint."""
        return self.dependency or f"fingerprint:{self.fingerprint}"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a decision rests on, kept to learn from it.

    :param features: what was known before the decision, by name.
    :param candidates: pairs of a delay in seconds and the chance that the next attempt succeeds after it.
    :param propensity: how likely the policy was to choose this delay (a density over its logarithm, if it was drawn).
    :param chance: the foretold chance that the next attempt succeeds, and that any does.
    :param shadow: what a model on trial would have chosen.
    """

    features: Mapping[str, float | None] | None = None
    candidates: Sequence[tuple[float, float]] = ()
    propensity: float | None = None
    chance: float | None = None
    eventual: float | None = None
    shadow: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class RetryDecision:
    """What becomes of a failed attempt: the next one after ``delay`` seconds, or the dead letters if None.

    :param free: the next attempt uses up no retry, as it was not the job that failed.
    :param flexible: nothing but backoff asks for this delay; who knows more may choose another.
    :param least: seconds below which no delay may be chosen.
    :param gate: the cause that others fail of as well; the job waits until that is over, or for ``delay`` at most.
    """

    delay: float | None
    reason: str
    decided_by: str = "static"
    free: bool = False
    flexible: bool = False
    least: float = 0.0
    gate: str | None = None
    evidence: Evidence | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a decision to try again: how the next attempt ended.

    :param attempt: the failed attempt that was decided on.
    :param waited: seconds from the failure to the start of the next attempt.
    :param at: when the next attempt ended, in seconds since the epoch.
    :param gate: the cause that the job was held for.
    """

    job_id: str
    job_type: str
    attempt: int
    fingerprint: str
    dependency: str | None
    decided_by: str
    succeeded: bool
    waited: float
    at: float
    chance: float | None = None
    gate: str | None = None
    shadow: Mapping[str, Any] | None = None

    @property
    def cause(self) -> str:
        """What others may fail of as well: the dependency, or else the fingerprint."""
        return self.dependency or f"fingerprint:{self.fingerprint}"


class Moved(NamedTuple):
    """Jobs of one type and queue that came into one state, and how long their attempts took and had waited.

    :param run: the part of the distribution that the seconds of the attempts are in, None when none of them has ended.
    :param wait: that of the seconds for which their messages had waited, None when that is not known.
    :param run_seconds: of all of them together, as ``wait_seconds``.
    """

    job_type: str
    queue: str
    status: str
    jobs: int
    run: int | None = None
    wait: int | None = None
    run_seconds: float = 0.0
    wait_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Seen:
    """What a batch of the journal showed, once it is written.

    :param completed: how many attempts succeeded, by job type.
    :param runs: the attempts that succeeded, with how many seconds each took.
    :param moved: what became of jobs.
    """

    at: float
    completed: Counter[str] = field(default_factory=Counter)
    failures: Sequence[FailedAttempt] = ()
    outcomes: Sequence[Outcome] = ()
    runs: Sequence[tuple[str, float]] = ()
    moved: Sequence[Moved] = ()
