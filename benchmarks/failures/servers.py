"""Servers with labelled anomalies, each for itself: what can be said an hour before one begins."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jobplatform.learning.decay import ALL, Cube, features
from jobplatform.learning.decay_model import Lesson, train
from jobplatform.learning.scores import Floats, auc

STEP = 300.0
#: An anomaly that begins within so many steps is to be foretold.
_AHEAD = 12


def load_servers(data: Path) -> list[Lesson]:
    """Load every server below a directory: arrays ``test`` (steps by measurements) and ``label``."""
    found = []
    for path in sorted(data.rglob("*.npz")):
        with np.load(path) as arrays:
            if not {"test", "label"} <= set(arrays.files):
                continue
            values = np.asarray(arrays["test"], dtype=np.float64)[:, None, :]
            label = np.asarray(arrays["label"], dtype=np.float64).reshape(-1)
        found.append(Lesson(features(Cube(values)), _begins(label)[:, None], STEP, path.stem))
    return found


def _begins(label: Floats) -> Floats:
    """Give 1 where an anomaly begins soon, 0 where none does, and NaN where one is there."""
    padded = np.concatenate([label, np.zeros(_AHEAD)])
    ahead = np.lib.stride_tricks.sliding_window_view(padded[1:], _AHEAD).max(axis=1)[: len(label)]
    return np.where(label > 0.5, np.nan, ahead)


def without_each_server(lessons: Sequence[Lesson], seed: int) -> dict[str, float]:
    """Hold each server out in turn: the area under the curve of a model and of the best rule, and the base rate."""
    came, said, drifted = [], [], []
    for held in lessons:
        learned = train([lesson for lesson in lessons if lesson is not held], _AHEAD * STEP, seed).model
        chances = learned.chances(held.found)
        known = np.isfinite(chances) & ~np.isnan(held.fails)
        came.append(held.fails[known])
        said.append(chances[known])
        # Without peers the drift from its own past stands for that from them.
        drifted.append(held.found[..., ALL.index("own.mean.alone")][known])
    yes = np.concatenate(came)
    return {
        "base_rate": float(yes.mean()),
        "auc_rule": auc(yes, np.concatenate(drifted)),
        "auc_model": auc(yes, np.concatenate(said)),
    }
