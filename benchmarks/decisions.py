"""How long the product's policy takes to decide on 100 attempts that failed together, with a model in force.

``python -m benchmarks.decisions --data DIR --json FILE --seeds N`` trains a model in the simulator's worlds and lets
the policy decide on what failed in its mixed world, in batches of 100.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.report import machine, write_json
from benchmarks.retry.calendar import read_durations
from benchmarks.retry.contenders import RetryPolicy, Static
from benchmarks.retry.product import product
from benchmarks.retry.ranges import EVALUATION
from benchmarks.retry.simulation import simulate
from benchmarks.retry.training import train_model
from benchmarks.retry.world import World
from benchmarks.retry.worlds import draw_world
from benchmarks.statistics import percentile
from jobplatform.decision import FailedAttempt, RetryDecision

BATCH, MOST_MS = 100, 50.0


class Listener(Static):
    """The rule, and what failed under it."""

    def __init__(self) -> None:
        self.failed: list[FailedAttempt] = []

    def decide(self, attempts: Sequence[FailedAttempt]) -> Sequence[RetryDecision]:
        """Keep what failed, and decide by the rule."""
        self.failed.extend(attempts)
        return super().decide(attempts)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write; 1 means that it takes too long."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.decisions", description=__doc__)
    parser.add_argument("--data", type=Path, help="holds outages/*.csv; synthetic outages without it")
    parser.add_argument("--json", type=Path, default=Path("build/decisions.json"))
    parser.add_argument("--seeds", type=int, default=3, help="worlds whose failures are decided on")
    options = parser.parse_args(arguments)
    durations = read_durations(options.data) if options.data else ()
    model = train_model(durations).model
    worlds = [draw_world("mixed", seed, EVALUATION, durations) for seed in range(1, options.seeds + 1)]
    # Breakers would spare the model most of the work.
    times = [each for world in worlds for each in decide_all(world, product(model, breakers=False)(world))]
    p50, p99 = (1e3 * percentile(times, share) for share in (0.5, 0.99))
    print(f"{len(times)} batches of {BATCH}: p50 {p50:.1f} ms, p99 {p99:.1f} ms")
    print(f"{'ok' if p99 <= MOST_MS else 'not ok'}  p99 <= {MOST_MS:g} ms")
    write_json(options.json, {"p50_ms": p50, "p99_ms": p99, "batches": len(times), "machine": machine()})
    return 0 if p99 <= MOST_MS else 1


def decide_all(world: World, policy: RetryPolicy) -> list[float]:
    """Let a policy decide on all that fails under the rule; gives the seconds of each batch."""
    listener = Listener()
    simulate(world, listener)
    times = []
    for first in range(0, len(listener.failed) - BATCH, BATCH):
        batch = listener.failed[first : first + BATCH]
        began = time.perf_counter()
        policy.decide(batch)
        times.append(time.perf_counter() - began)
    return times


if __name__ == "__main__":
    sys.exit(main())
