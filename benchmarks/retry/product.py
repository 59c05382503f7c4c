"""The product's own policy as a contender: with breakers, with a model, or with both."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.retry.contenders import NOTHING, Contender, Turn
from benchmarks.retry.world import World
from jobplatform.controller.case import LEVELS
from jobplatform.controller.policy import Policy
from jobplatform.decision import FailedAttempt, RetryDecision, Seen
from jobplatform.jobs.breakers import Breakers
from jobplatform.learning.history import History
from jobplatform.learning.model import Model

#: The share of retries whose delay is drawn at random, as in the product.
EXPLORE = 0.03


class Product:
    """Ask the product's policy as the controller and the gatekeeper do."""

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


@dataclass(frozen=True, slots=True)
class Version:
    """The model in force."""

    version: int
    model: Model


def product(model: Model | None, breakers: bool = True, explore: float = EXPLORE) -> Contender:
    """Make the product's policy.

    :param model: decides on every job, as a world is too short to wait until it has won; without it the rule does.
    :param breakers: whether any opens.
    """
    version = None if model is None else Version(1, model)

    def make(world: World) -> Product:
        luck = random.Random(world.seed)
        watched = Breakers() if breakers else None
        return Product(Policy(watched, History(LEVELS), lambda: version, lambda job_type, job_id: True, explore, luck))

    return make
