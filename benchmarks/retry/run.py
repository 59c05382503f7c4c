"""How far each job is while a world runs under a policy, and what became of all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.retry.world import Job, Trouble
from jobplatform.decision import FailedAttempt, Outcome, RetryDecision


@dataclass(slots=True)
class Progress:
    """How far a job is.

    :param times: when each attempt began.
    :param turn: counts what was decided, so that an event of an earlier decision is known as such.
    :param held: the cause for which it is held.
    :param trial: whether it was let go before the cause was known to be over.
    :param decided: the last failed attempt with what was decided on it.
    """

    job: Job
    attempts: int = 0
    retries: int = 0
    started: float = 0.0
    first_failed: float | None = None
    turn: int = 0
    held: str | None = None
    trial: bool = False
    decided: tuple[FailedAttempt, RetryDecision] | None = None
    trouble: Trouble | None = None
    after: float | None = None
    ended: float | None = None
    completed: bool = False


@dataclass(slots=True)
class Run:
    """What became of a world under a policy.

    :param calls: attempts that reached each host, by second.
    """

    jobs: list[Progress]
    rejections: int = 0
    limited: int = 0
    decisions: int = 0
    batches: int = 0
    calls: dict[str, Counter[int]] = field(default_factory=dict)


def outcome_of(now: float, progress: Progress, failed: FailedAttempt, decision: RetryDecision) -> Outcome:
    """Say what came of a decision, now that the next attempt has ended."""
    evidence = decision.evidence
    return Outcome(
        job_id=failed.job_id,
        job_type=failed.facts.job_type,
        attempt=failed.attempt,
        fingerprint=failed.fingerprint,
        dependency=failed.dependency,
        decided_by=decision.decided_by,
        succeeded=progress.trouble is None,
        waited=progress.started - failed.at,
        at=now,
        chance=evidence.chance if evidence else None,
        gate=decision.gate,
        shadow=evidence.shadow if evidence else None,
    )


def attempts_of(jobs: Sequence[Progress]) -> int:
    """Count the attempts of some jobs."""
    return sum(progress.attempts for progress in jobs)
