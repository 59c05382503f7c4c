"""Train the product's model in worlds of other seeds and narrower parameters than those in which it is judged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from benchmarks.retry.contenders import RetryPolicy, Turn
from benchmarks.retry.product import product
from benchmarks.retry.ranges import TRAINING
from benchmarks.retry.simulation import simulate
from benchmarks.retry.world import World
from benchmarks.retry.worlds import WORLDS, draw_world
from jobplatform.decision import FailedAttempt, Outcome, RetryDecision, Seen
from jobplatform.learning.training import Example, Trained, train

#: Seeds of the worlds in which a model is trained; those in which it is judged count from 1.
SEEDS = (1_000_001, 1_000_002)
#: Of the delays there, this share is drawn at random.
EXPLORE = 0.5
#: Examples that are kept, spread over all worlds.
MOST = 60_000
_WORLD_SECONDS = 1e6


class Recorder:
    """Note what a policy knew of each failed attempt, and what came of the next one."""

    def __init__(self, policy: RetryPolicy) -> None:
        self._policy = policy
        self._features: dict[tuple[str, int], Mapping[str, float | None]] = {}
        self._outcomes: list[Outcome] = []

    def decide(self, attempts: Sequence[FailedAttempt]) -> Sequence[RetryDecision]:
        """Let the policy decide, and note what it knew."""
        decisions = self._policy.decide(attempts)
        for failed, decision in zip(attempts, decisions, strict=True):
            if decision.evidence is not None and decision.evidence.features and decision.gate is None:
                self._features[failed.job_id, failed.attempt] = decision.evidence.features
        return decisions

    def observe(self, seen: Seen) -> None:
        """Note what came of earlier decisions."""
        self._outcomes.extend(seen.outcomes)
        self._policy.observe(seen)

    def tick(self, now: float, held: Mapping[str, int]) -> Turn:
        """Let the policy say what is let go."""
        return self._policy.tick(now, held)

    def examples(self, completed: Mapping[str, bool], world: str) -> Iterable[Example]:
        """Give what was learned.

        :param completed: by job, whether it succeeded at last.
        """
        for outcome in self._outcomes:
            features = self._features.get((outcome.job_id, outcome.attempt))
            if features is not None:
                yield Example(
                    features=features,
                    waited=outcome.waited,
                    succeeded=outcome.succeeded,
                    group=f"{world} {outcome.job_type}",
                    at=outcome.at - outcome.waited,
                    eventually=completed[outcome.job_id],
                )


def gather(world: World) -> list[Example]:
    """Let the product's policy without a model run through a world, with many delays drawn at random."""
    recorder = Recorder(product(None, explore=EXPLORE)(world))
    run = simulate(world, recorder)
    completed = {job.job.job_id: job.completed for job in run.jobs}
    return list(recorder.examples(completed, f"{world.name} {world.seed}"))


def train_model(durations: Sequence[float], seeds: Sequence[int] = SEEDS) -> Trained:
    """Train a model in all worlds.

    :param durations: of real outages, in seconds; half of them, so that others are new to it.
    """
    examples: list[Example] = []
    for place, (name, seed) in enumerate((name, seed) for seed in seeds for name in WORLDS):
        found = gather(draw_world(name, seed, TRAINING, durations[::2]))
        # Worlds follow each other in time, but for those of one seed, which the split by time then holds apart.
        examples += [replace(each, at=(each.at or 0.0) + place * _WORLD_SECONDS) for each in found]
    step = max(1, len(examples) // MOST + (len(examples) % MOST > 0))
    return train(examples[::step], seed=1)
