"""How long training takes at 100,000 rows, and a prediction for 100 failed attempts at 12 delays."""

from __future__ import annotations

import math
import random
import time
from dataclasses import dataclass

from benchmarks.statistics import percentile
from jobplatform.learning.history import History
from jobplatform.learning.model import Model
from jobplatform.learning.training import Example, train

_DELAYS = [2.0 * 1.9**step for step in range(12)]


@dataclass(frozen=True, slots=True)
class Speed:
    """Seconds of training, microseconds of the history for one retry, milliseconds of a prediction."""

    rows: int
    train_s: float
    history_us: float
    predict_p50_ms: float
    predict_p99_ms: float


def measure(seed: int, rows: int = 100_000) -> Speed:
    """Measure on made-up retries of 1,000 fingerprints, 50 job types and 20 dependencies."""
    luck = random.Random(seed)
    started = time.perf_counter()
    examples = made_up(luck, rows)
    noted = time.perf_counter()
    model = train(examples, seed).model
    trained = time.perf_counter()
    times = [_predicted(model, luck.sample(examples, 100)) for _ in range(300)]
    micro = (noted - started) / rows * 1e6
    return Speed(rows, trained - noted, micro, 1e3 * percentile(times, 0.5), 1e3 * percentile(times, 0.99))


def made_up(luck: random.Random, rows: int) -> list[Example]:
    """Make retries up, with the features that the product makes of what was known before each."""
    history = History(("fingerprint", "job_type", "dependency"))
    return [_example(luck, history, number) for number in range(rows)]


def _example(luck: random.Random, history: History, number: int) -> Example:
    kind = int(luck.paretovariate(1.0)) % 1000
    groups = {"fingerprint": f"f{kind}", "job_type": f"t{kind % 50}", "dependency": f"d{kind % 20}"}
    attempt, at, waited = 1 + int(luck.expovariate(0.7)), float(number), luck.lognormvariate(3.0, 1.0)
    features = history.features(groups, attempt, at, {"ran": luck.random()})
    chance = 1.0 / (1.0 + math.exp(0.3 * attempt + kind % 7 - 3.0 - 0.4 * math.log1p(waited)))
    succeeded = luck.random() < chance
    history.note(groups, attempt, at + waited, succeeded)
    return Example(features, waited, succeeded, groups["job_type"], at, succeeded or luck.random() < chance)


def _predicted(model: Model, examples: list[Example]) -> float:
    rows = [each.features for each in examples]
    started = time.perf_counter()
    model.chances(rows, _DELAYS)
    return time.perf_counter() - started
