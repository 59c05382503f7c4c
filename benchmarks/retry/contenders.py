"""Who decides on failed attempts: the interface, the anchors, and an oracle."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from benchmarks.retry.world import World
from jobplatform.decision import FailedAttempt, RetryDecision, Seen
from jobplatform.jobs import retry
from jobplatform.jobs.breaker import Release

_FIXED_SECONDS = (1.0, 2.0, 4.0, 8.0, 16.0)
#: AWS SDKs and Tools Reference Guide, "Retry behavior": standard mode.
_AWS_ATTEMPTS, _AWS_CAP, _AWS_QUOTA, _AWS_COST, _AWS_TIMEOUT_COST = 3, 20.0, 500, 5, 10
_AWS_STATUS = frozenset({429, 500, 502, 503, 504})


class Turn(NamedTuple):
    """What a look at those who are held comes to.

    :param releases: so many jobs of a cause go on.
    :param opened: causes of which all jobs are held from now on that failed of them and wait for their next attempt.
    :param closed: causes of which no job is held any more.
    :param types: job types of which none begins, each with the cause.
    """

    releases: Sequence[Release] = ()
    opened: Sequence[str] = ()
    closed: Sequence[str] = ()
    types: Mapping[str, str] = {}


NOTHING = Turn()


class RetryPolicy(Protocol):
    """What a contender is asked, which is what the product's policy is."""

    def decide(self, attempts: Sequence[FailedAttempt]) -> Sequence[RetryDecision]:
        """Decide on attempts that failed together."""

    def observe(self, seen: Seen) -> None:
        """Take in what happened."""

    def tick(self, now: float, held: Mapping[str, int]) -> Turn:
        """Say what is let go and what is held; called each second.

        :param held: how many jobs are held, by cause.
        """


#: Makes the contender that faces a world; only an oracle may look into it.
Contender = Callable[[World], RetryPolicy]


class _Unholding:
    """A policy that holds nothing and, but for what it says itself, learns nothing."""

    def observe(self, seen: Seen) -> None:
        """Forget it."""

    def tick(self, now: float, held: Mapping[str, int]) -> Turn:
        """Hold nothing."""
        return NOTHING


class Fixed(_Unholding):
    """Wait 1, 2, 4, 8 and 16 seconds, whatever it was."""

    def decide(self, attempts: Sequence[FailedAttempt]) -> Sequence[RetryDecision]:
        """Give each attempt the wait of its number."""
        return [self._decide(failed.attempt) for failed in attempts]

    def _decide(self, attempt: int) -> RetryDecision:
        if attempt > len(_FIXED_SECONDS):
            return RetryDecision(None, "all attempts are used up")
        return RetryDecision(_FIXED_SECONDS[attempt - 1], "fixed")


class Static(_Unholding):
    """The product's rule without learning."""

    def decide(self, attempts: Sequence[FailedAttempt]) -> Sequence[RetryDecision]:
        """Decide by the default rule."""
        return retry.decide_all(attempts)


class AwsStandard(_Unholding):
    """The standard mode of the AWS SDKs: three attempts, and a quota of retries for each client, here a dependency."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._quota: defaultdict[str, int] = defaultdict(lambda: _AWS_QUOTA)
        self._held: dict[str, int] = {}

    def decide(self, attempts: Sequence[FailedAttempt]) -> Sequence[RetryDecision]:
        """Retry what may pass while the quota lasts."""
        return [self._decide(failed) for failed in attempts]

    def _decide(self, failed: FailedAttempt) -> RetryDecision:
        status = failed.error.get("status")
        if failed.attempt >= _AWS_ATTEMPTS or (status is not None and status not in _AWS_STATUS):
            return RetryDecision(None, "no retry")
        cost = _AWS_TIMEOUT_COST if "Timeout" in failed.error["type"] else _AWS_COST
        client = failed.dependency or failed.facts.job_type
        if self._quota[client] < cost:
            return RetryDecision(None, "the quota of retries is used up")
        self._quota[client] -= cost
        self._held[failed.job_id] = cost
        luck = random.Random(f"{self._seed}:{failed.job_id}:{failed.attempt}").random()
        delay = max(luck * min(_AWS_CAP, 2.0 ** (failed.attempt - 1)), float(failed.error.get("after") or 0.0))
        return RetryDecision(delay, "standard mode")

    def observe(self, seen: Seen) -> None:
        """Give back what a retry took that succeeded."""
        for outcome in seen.outcomes:
            cost = self._held.pop(outcome.job_id, 0)
            if outcome.succeeded:
                client = outcome.dependency or outcome.job_type
                self._quota[client] = min(_AWS_QUOTA, self._quota[client] + cost)


class Oracle(_Unholding):
    """Know which errors are permanent and when each dependency is up next; know nothing of what others do."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._jobs = {job.job_id: job for job in world.jobs}

    def decide(self, attempts: Sequence[FailedAttempt]) -> Sequence[RetryDecision]:
        """Wait until the dependency is up, no longer."""
        return [self._decide(failed) for failed in attempts]

    def _decide(self, failed: FailedAttempt) -> RetryDecision:
        job, after = self._jobs[failed.job_id], float(failed.error.get("after") or 0.0)
        if job.doomed is not None:
            return RetryDecision(None, "permanent")
        dependency = self._world.dependencies.get(job.type.host or "")
        if dependency is None:
            return RetryDecision(0.0, "luck alone")
        up = dependency.outages.over(failed.at) - failed.at
        if dependency.capacity is not None:
            up = max(up, dependency.capacity.brownouts.over(failed.at) - failed.at)
        if dependency.capacity is not None or dependency.bucket is not None:
            # It does not know when the others come, so it spreads as the rule does.
            up += retry.decide_all([failed])[0].delay or 0.0
        return RetryDecision(max(up, after), "up again")


CONTENDERS: dict[str, Contender] = {
    "fixed": lambda world: Fixed(),
    "static": lambda world: Static(),
    "aws": lambda world: AwsStandard(world.seed),
    "oracle": Oracle,
}
