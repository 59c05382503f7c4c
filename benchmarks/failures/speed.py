"""How long the features and the training take at 100,000 samples."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from jobplatform.learning.decay import Cube, features
from jobplatform.learning.decay_model import Lesson, train

_WORKERS, _KINDS = 10, 10


@dataclass(frozen=True, slots=True)
class Speed:
    """Seconds, at so many samples; and those of a processor, which others on the machine do not lengthen."""

    rows: int
    features_s: float
    train_s: float
    processor_s: float


def measure(seed: int, rows: int = 100_000) -> Speed:
    """Measure on made-up workers, some of which drift away before they fail."""
    luck = np.random.default_rng(seed)
    steps = rows // _WORKERS
    values = luck.normal(size=(steps, _WORKERS, _KINDS)).cumsum(axis=0) * 0.01 + luck.normal(size=(steps, 1, _KINDS))
    fails = np.zeros((steps, _WORKERS))
    for end in range(500, steps, 500):
        who = int(luck.integers(_WORKERS))
        values[end - 60 : end, who, :3] += np.linspace(0, 3, 60)[:, None]
        fails[end - 60 : end, who] = 1.0
    began, spent = time.perf_counter(), time.process_time()
    found = features(Cube(values))
    done = time.perf_counter()
    parts = np.array_split(np.arange(steps), 5)
    train([Lesson(found[part], fails[part], 30.0, str(place)) for place, part in enumerate(parts)], 1800.0, seed)
    return Speed(rows, done - began, time.perf_counter() - done, time.process_time() - spent)
