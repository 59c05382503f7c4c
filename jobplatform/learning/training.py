"""Train a model of the next attempt from what came of earlier ones."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xgboost

from jobplatform.errors import ModelRefused
from jobplatform.learning.calibration import Calibration, calibrate
from jobplatform.learning.model import WAITED, Forecaster, Model, matrix
from jobplatform.learning.scores import Floats, auc, brier, brier_skill, ece, log_loss

#: Shares of the examples, by time: the first teach a model that foretells the others, of which the earlier calibrate
#: it and the later judge it. What is kept is then taught by all, and calibrated by all that was foretold.
TAUGHT, CALIBRATED = 0.7, 0.85
#: So many examples of a group count in full; the weight of all grows with the square root of their number beyond that.
WHOLE = 20
#: Fewer examples than these teach plainer trees.
FEW = 3_000
#: More examples than these vary little by themselves: fewer trees a round do.
MANY = 20_000
_MANY_TREES = 2
#: Fewer examples than these teach nothing.
FEWEST = 50
#: What falls, and what rises, with these features, by the ends of their names; nothing else is held to a direction.
FALLING = ("attempt", ".failures")
RISING = (".rate", ".recent", ".lately", ".at_attempt")

# Several trees a round, each of a part of the examples and columns, vary less than one of all (L. Breiman, "Random
# Forests", Machine Learning 45, 2001).
_BOOSTING: Mapping[str, Any] = {
    "objective": "binary:logistic", "tree_method": "hist", "nthread": 2, "verbosity": 0,
    "eta": 0.1, "num_parallel_tree": 5, "subsample": 0.6, "colsample_bynode": 0.4,
    "max_depth": 4, "min_child_weight": 5, "lambda": 5.0,
}  # fmt: skip
_ROUNDS = 60
_FEW_BOOSTING: Mapping[str, Any] = {**_BOOSTING, "eta": 0.05, "max_depth": 3, "min_child_weight": 8, "lambda": 10.0}
_FEW_ROUNDS = 80


@dataclass(frozen=True, slots=True)
class Example:
    """What was known of a failed attempt, and what came of the next one.

    :param features: as they were at the decision.
    :param waited: seconds to the next attempt; None where nobody knows.
    :param group: what it is weighed with, such as its job type.
    :param at: when it was decided on, in seconds; examples without it stand in the order in which they are given.
    :param eventually: whether any later attempt succeeded; None where that is not known yet.
    """

    features: Mapping[str, float | None]
    waited: float | None
    succeeded: bool
    group: str
    at: float | None = None
    eventually: bool | None = None
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Trained:
    """A model and how it did on the latest examples before it was taught by these as well.

    :param metrics: by name; ``brier_skill`` is beside the base rate of the earlier examples.
    :param reliability: by foretold chance: what was foretold, what came, and how many they were.
    """

    model: Model
    metrics: Mapping[str, float]
    reliability: Sequence[tuple[float, float, int]]


@dataclass(frozen=True, slots=True)
class _Lesson:
    table: Floats
    yes: Floats
    weights: Floats
    directions: tuple[int, ...]

    def __getitem__(self, part: slice) -> _Lesson:
        return _Lesson(self.table[part], self.yes[part], self.weights[part], self.directions)


def train(examples: Sequence[Example], seed: int) -> Trained:
    """Train on all examples, and measure on the latest; the same examples and seed give the same model.

    :raises ModelRefused: there are too few examples, or all came to the same.
    """
    ordered = in_order(examples)
    features = features_of(ordered)
    lesson = _lesson(ordered, features, [each.succeeded for each in ordered])
    check(lesson.yes)
    following, judged, said = _fit(lesson, seed)
    model = Model(features, float(lesson.yes.mean()), following, _later(ordered, features, seed))
    before = lesson[: len(lesson.yes) - len(judged)].yes.mean()
    return Trained(model, metrics_of(judged, said, float(before)), reliability(judged, said))


def check(yes: Floats) -> None:
    """Refuse what nothing can be learned from."""
    if len(yes) < FEWEST or not 0.0 < yes.mean() < 1.0:
        raise ModelRefused(
            f"examples: {len(yes)} outcomes, {int(yes.sum())} of them successes, teach nothing; "
            f"wait for {FEWEST} of both kinds"
        )


def in_order(examples: Sequence[Example]) -> list[Example]:
    """Put examples in the order of their times, if all have one."""
    timed = [(each.at, each) for each in examples if each.at is not None]
    if len(timed) < len(examples):
        return list(examples)
    return [each for _, each in sorted(timed, key=lambda pair: pair[0])]


def features_of(examples: Sequence[Example]) -> tuple[str, ...]:
    """List the features of any example, in the order of their names."""
    names = {name for each in examples for name in each.features}
    if any(each.waited is not None for each in examples):
        names.add(WAITED)
    return tuple(sorted(names))


def weights_of(examples: Sequence[Example]) -> Floats:
    """Weigh examples so that a group of many counts by the square root of their number, not by the number.

    The mean weight is 1: what a booster asks of a leaf is a sum of weights.
    """
    counts = Counter(each.group for each in examples)
    weights = np.array([each.weight * min(1.0, math.sqrt(WHOLE / counts[each.group])) for each in examples])
    return weights / weights.mean() if weights.size else weights


def metrics_of(yes: Floats, chances: Floats, base_rate: float) -> dict[str, float]:
    """Measure forecasts, beside the rate that was known before."""
    return {
        "auc": auc(yes, chances),
        "brier": brier(yes, chances),
        "brier_skill": brier_skill(yes, chances, base_rate),
        "ece": ece(yes, chances),
        "log_loss": log_loss(yes, chances),
        "base_rate": float(yes.mean()) if len(yes) else base_rate,
        "examples": float(len(yes)),
    }


def reliability(yes: Floats, chances: Floats, bins: int = 10) -> list[tuple[float, float, int]]:
    """Sum up bins of equal counts: what was foretold, what came, and how many they were."""
    parts = np.array_split(np.argsort(chances, kind="stable"), bins)
    return [(float(chances[part].mean()), float(yes[part].mean()), len(part)) for part in parts if len(part)]


def _lesson(examples: Sequence[Example], features: tuple[str, ...], yes: Sequence[bool | None]) -> _Lesson:
    rows = [{**each.features, WAITED: _log(each.waited)} for each in examples]
    directions = tuple(direction(name) for name in features)
    return _Lesson(matrix(rows, features), np.array(yes, dtype=np.float64), weights_of(examples), directions)


def direction(name: str) -> int:
    """Tell whether the chance falls (-1) or rises (1) with a feature, or does as it likes (0)."""
    return -1 if name.endswith(FALLING) else int(name.endswith(RISING))


def _log(waited: float | None) -> float | None:
    return None if waited is None else math.log1p(max(0.0, waited))


def _fit(lesson: _Lesson, seed: int) -> tuple[Forecaster, Floats, Floats]:
    """Fit to all; give also the latest outcomes, and what was foretold of them by what was taught before."""
    count = len(lesson.yes)
    taught, calibrated = int(count * TAUGHT), int(count * CALIBRATED)
    trial = _boosted(lesson[:taught], seed)
    said = np.asarray(trial.inplace_predict(lesson.table[taught:]), dtype=np.float64)
    came, middle = lesson.yes[taught:], calibrated - taught
    judged = calibrate(came[:middle], said[:middle])(said[middle:])
    kept: Calibration = calibrate(came, said)
    return Forecaster(_boosted(lesson, seed), kept), came[middle:], judged


def _boosted(lesson: _Lesson, seed: int) -> xgboost.Booster:
    few = len(lesson.yes) < FEW
    settings = {**(_FEW_BOOSTING if few else _BOOSTING), "seed": seed, "monotone_constraints": lesson.directions}
    if len(lesson.yes) > MANY:
        settings["num_parallel_tree"] = _MANY_TREES
    settings["base_score"] = float(np.clip(np.average(lesson.yes, weights=lesson.weights), 0.01, 0.99))
    table = xgboost.QuantileDMatrix(lesson.table, lesson.yes, weight=lesson.weights, nthread=2)
    return xgboost.train(settings, table, _FEW_ROUNDS if few else _ROUNDS)


def _later(examples: Sequence[Example], features: tuple[str, ...], seed: int) -> Forecaster | None:
    known = [each for each in examples if each.eventually is not None]
    lesson = _lesson(known, tuple(name for name in features if name != WAITED), [each.eventually for each in known])
    if len(known) < FEWEST or not 0.0 < lesson.yes.mean() < 1.0:
        return None
    return _fit(lesson, seed)[0]
