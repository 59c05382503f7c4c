"""The product's own policy as a contender."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from benchmarks.retry.contenders import NOTHING, Contender, Turn
from benchmarks.retry.world import World
from jobplatform.controller.policy import Policy
from jobplatform.decision import FailedAttempt, Outcome, RetryDecision, Seen
from jobplatform.jobs.breakers import Breakers

#: The share of retries whose delay is drawn at random: as in the product, and to gather what a model learns from.
EXPLORE, EXPLORE_TO_LEARN = 0.03, 0.5


class Product:
    """Ask the product's policy as the controller does."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._holding: set[str] = set()

    def decide(self, attempts: Sequence[FailedAttempt]) -> Sequence[RetryDecision]:
        """Decide on attempts that failed together."""
        return self.policy.decide(attempts)

    def observe(self, seen: Seen) -> None:
        """Take in what happened."""
        self.policy.observe(seen)

    def tick(self, now: float, held: Mapping[str, int]) -> Turn:
        """Say what is let go and what is held, as ``maintenance.gatekeeper`` does."""
        breakers = self.policy.breakers
        if breakers is None:
            return NOTHING
        releases = self.policy.tick(now, held)
        opened, closed = [], []
        for breaker in breakers.changed():
            held_before = breaker.cause in self._holding
            if breaker.holds and not held_before:
                opened.append(breaker.cause)
                self._holding.add(breaker.cause)
            elif held_before and not breaker.holds:
                closed.append(breaker.cause)
                self._holding.remove(breaker.cause)
        return Turn(releases, opened, closed, breakers.held_types())


class Forgetful:
    """Remember nothing, for a policy that asks no model."""

    def features(
        self, groups: Mapping[str, str | None], attempt: int, at: float | None, extra: Mapping[str, float | None]
    ) -> dict[str, float | None]:
        """Give no features."""
        return {}

    def note(self, groups: Mapping[str, str | None], attempt: int, at: float | None, succeeded: bool) -> None:
        """Forget it."""


class Promoted:
    """Let the model decide on every job, or on none."""

    def __init__(self, decides: bool) -> None:
        self._decides = decides

    def decides(self, job_type: str, job_id: str) -> bool:
        """Tell whether the model decides."""
        return self._decides

    def observe(self, outcomes: Sequence[Outcome]) -> None:
        """Judge nothing."""


def product(memory: type[Forgetful] = Forgetful, explore: float = EXPLORE) -> Contender:
    """Make the product's policy without a model: the rule, breakers and budgets."""

    def make(world: World) -> Product:
        return Product(Policy(Breakers(), memory(), lambda: None, Promoted(False), explore, random.Random(world.seed)))

    return make
