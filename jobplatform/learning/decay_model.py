"""A model of which workers fail before long, from how far they have drifted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray

from jobplatform.errors import ModelRefused
from jobplatform.learning import artifact
from jobplatform.learning.calibration import Calibration, calibrate
from jobplatform.learning.decay import ALL, lasting
from jobplatform.learning.model import Forecaster, forecaster_json, forecaster_of_json
from jobplatform.learning.scores import Floats

#: The version of the document that holds a model.
VERSION = 1
#: So many workers that do well may be replaced in a day, of each that is watched; and how many are aimed at, as more
#: are met than were counted where the threshold was chosen.
MOST_FALSE, _AIM = 0.5, 0.4
#: After an alarm a worker raises no other one for so long: it was replaced.
PAUSE_SECONDS = 3_600.0
#: One worker is replaced in so long.
BETWEEN_SECONDS = 900.0
#: Fewer failures than these teach nothing.
FEWEST = 3
_FOLDS = 5
_DAY = 86_400.0
_THRESHOLDS = 60
#: Of more rows, so many are learned from: all that failed, and others at equal distances.
_MOST_ROWS = 20_000

# Few and shallow trees, each of a part of the rows and columns, and no direction but up: whatever has moved further is
# no healthier. What a fault looks like that was not seen before is only foretold by what all faults share.
_BOOSTING: Mapping[str, Any] = {
    "objective": "binary:logistic", "tree_method": "hist", "nthread": 2, "verbosity": 0,
    "eta": 0.1, "num_parallel_tree": 8, "subsample": 0.5, "colsample_bynode": 0.5,
    "max_depth": 2, "min_child_weight": 10, "lambda": 10.0, "monotone_constraints": (1,) * len(ALL),
}  # fmt: skip
_ROUNDS = 40

Score = Callable[[Floats], Floats]


@dataclass(frozen=True, slots=True)
class Lesson:
    """Workers that were watched at equal steps, and what became of them.

    :param found: features by step, worker and name.
    :param fails: by step and worker, 1 where it failed before long, 0 where it did not, NaN where that is not known.
    :param step: seconds between two steps.
    :param group: what is held out together, such as faults of one kind.
    """

    found: Floats
    fails: Floats
    step: float
    group: str

    @property
    def days(self) -> float:
        """For how many days workers were watched that did well."""
        return float(np.sum(self.fails == 0)) * self.step / _DAY


@dataclass(frozen=True, slots=True)
class DecayModel:
    """What is foretold of workers; frozen, as its artifact is.

    :param alarm: from which chance on, if it lasts, a worker is taken for failing.
    :param seconds: within which time it fails then.
    :param base_rate: the share of what it learned from that failed.
    """

    forecaster: Forecaster
    alarm: float
    seconds: float
    base_rate: float
    features: tuple[str, ...] = ALL

    def chances(self, found: Floats) -> Floats:
        """Foretell for each step and worker whether it fails before long; NaN where too little is known."""
        return scored(self.forecaster, found)

    def to_bytes(self) -> bytes:
        """Write the model as a JSON document."""
        values = {
            "kind": "health",
            "features": self.features,
            "alarm": self.alarm,
            "seconds": self.seconds,
            "base_rate": self.base_rate,
            "forecaster": forecaster_json(self.forecaster),
        }
        return artifact.write(VERSION, values)

    @classmethod
    def from_bytes(cls, data: bytes, sha256: str) -> DecayModel:
        """Read what ``to_bytes`` wrote.

        :param sha256: the hash that was kept beside it, in hexadecimal.
        :raises ModelRefused: it is not what was written, or of another version.
        """
        document = artifact.read(data, sha256, VERSION)
        if document.get("kind") != "health":
            raise ModelRefused(f"artifact: it is no health model of version {VERSION}; train a new one")
        if tuple(document["features"]) != ALL:
            raise ModelRefused("artifact: it was taught with other features than this code knows; train a new one")
        alarm, seconds, base_rate = (float(document[name]) for name in ("alarm", "seconds", "base_rate"))
        return cls(forecaster_of_json(document["forecaster"]), alarm, seconds, base_rate)


@dataclass(frozen=True, slots=True)
class Trained:
    """A model, and what it says of what it has not seen.

    :param unseen: for each lesson, the chances by step and worker that a model gives which learned from the others.
    """

    model: DecayModel
    lessons: Sequence[Lesson]
    unseen: Sequence[Floats]


def scored(score: Score, found: Floats) -> Floats:
    """Score every step and worker of which something is known."""
    flat = found.reshape(-1, found.shape[-1])
    known = ~np.isnan(flat).all(axis=1)
    chances = np.full(len(flat), np.nan)
    if known.any():
        chances[known] = score(flat[known])
    return chances.reshape(found.shape[:-1])


def train(lessons: Sequence[Lesson], seconds: float, seed: int) -> Trained:
    """Train on all lessons; when to warn is learned from what a model says of the groups that it has not seen.

    :param seconds: what "before long" means in the lessons.
    :raises ModelRefused: when there is too little to learn from.
    """
    table, yes, groups, weights = _rows(lessons)
    if yes.sum() < FEWEST or yes.all():
        raise ModelRefused(f"{int(yes.sum())} samples of workers that failed teach nothing; wait for {FEWEST}")
    folds = _folds(groups)
    unseen = np.zeros(len(yes))
    for fold in range(folds.max() + 1):
        held = folds == fold
        if yes[~held].any():
            unseen[held] = _said(_boosted(table[~held], yes[~held], weights[~held], seed), table[held])
    calibration = calibrate(yes, unseen)
    forecaster = Forecaster(_boosted(table, yes, weights, seed), calibration)
    spread = _spread(lessons, calibration(unseen))
    alarm = threshold(list(zip(lessons, spread, strict=True)))
    return Trained(DecayModel(forecaster, alarm, seconds, float(yes.mean())), lessons, spread)


def threshold(judged: Sequence[tuple[Lesson, Floats]], most: float = _AIM) -> float:
    """Choose the lowest score from which on workers that do well are taken for failing no more often than allowed.

    :param judged: lessons, with scores by step and worker.
    :param most: false alarms in a day, of each worker.
    """
    lasted = [(lesson, lasting(scores)) for lesson, scores in judged]
    well = np.concatenate([scores[(lesson.fails == 0) & np.isfinite(scores)] for lesson, scores in lasted])
    days = sum(lesson.days for lesson, _ in lasted)
    if not len(well):
        return float("inf")
    for share in np.geomspace(0.5, 1e-6, _THRESHOLDS):
        alarm = float(np.quantile(well, 1 - share))
        count = sum(len(false_alarms(lesson, scores, alarm)) for lesson, scores in lasted)
        if count <= most * days:
            return float(np.nextafter(alarm, np.inf))
    return float(np.nextafter(well.max(), np.inf))


def false_alarms(lesson: Lesson, lasted: Floats, alarm: float) -> list[tuple[int, int]]:
    """List the steps and workers at which one that does well is taken for failing."""
    return [(step, who) for step, who in alarms(lasted, alarm, lesson.step) if lesson.fails[step, who] == 0]


def alarms(lasted: Floats, alarm: float, step: float) -> list[tuple[int, int]]:
    """List the steps and workers at which an alarm is raised, given scores that lasted.

    Of several at a time the one with the highest score counts: one is replaced, and then it is seen how the others do.
    """
    found: list[tuple[int, int]] = []
    quiet_until = np.zeros(lasted.shape[1])
    next_at = 0.0
    for place in np.flatnonzero((lasted >= alarm).any(axis=1)).tolist():
        if place < next_at:
            continue
        scores = np.where(quiet_until <= place, lasted[place], -np.inf)
        who = int(scores.argmax())
        if scores[who] >= alarm:
            found.append((place, who))
            quiet_until[who] = place + PAUSE_SECONDS / step
            next_at = place + BETWEEN_SECONDS / step
    return found


def _rows(lessons: Sequence[Lesson]) -> tuple[Floats, Floats, list[str], Floats]:
    """Lay the lessons out as rows; what failed weighs as much as what did not, and every group as much as any."""
    tables, outcomes, groups, weights = [], [], [], []
    for lesson in lessons:
        known = _known(lesson)
        yes = lesson.fails[known]
        tables.append(lesson.found[known])
        outcomes.append(yes)
        groups += [lesson.group] * len(yes)
        balance = np.where(yes > 0.5, 0.5 / max(1.0, yes.sum()), 0.5 / max(1.0, (1 - yes).sum()))
        weights.append(balance * np.sqrt(len(yes)))
    weight = np.concatenate(weights)
    return np.concatenate(tables), np.concatenate(outcomes), groups, weight * len(weight) / max(1e-9, weight.sum())


def _known(lesson: Lesson) -> NDArray[np.bool_]:
    return ~np.isnan(lesson.fails) & ~np.isnan(lesson.found).all(axis=-1)


def _folds(groups: Sequence[str]) -> NDArray[np.int64]:
    """Part rows so that a group is in one part; a single group is parted by time."""
    names = sorted(set(groups))
    if len(names) == 1:
        return np.arange(len(groups)) * _FOLDS // max(1, len(groups))
    number = {name: place % _FOLDS for place, name in enumerate(names)}
    return np.array([number[group] for group in groups])


def _spread(lessons: Sequence[Lesson], scores: Floats) -> list[Floats]:
    """Lay scores of rows out by step and worker again."""
    found: list[Floats] = []
    place = 0
    for lesson in lessons:
        known = _known(lesson)
        laid = np.full(lesson.fails.shape, np.nan)
        laid[known] = scores[place : place + int(known.sum())]
        place += int(known.sum())
        found.append(laid)
    return found


def _boosted(table: Floats, yes: Floats, weights: Floats, seed: int) -> xgboost.Booster:
    kept = _thinned(yes)
    table, yes, weights = table[kept], yes[kept], weights[kept]
    # What is left of a kind weighs as much as all of it did.
    rows = xgboost.QuantileDMatrix(table, yes, weight=weights, nthread=2)
    return xgboost.train({**_BOOSTING, "seed": seed, "base_score": 0.5}, rows, _ROUNDS)


def _thinned(yes: Floats) -> NDArray[np.int64]:
    """Choose rows to learn from, in their order."""
    well, failed = np.flatnonzero(yes < 0.5), np.flatnonzero(yes > 0.5)
    parts = [part[:: max(1, -(-2 * len(part) // _MOST_ROWS))] for part in (well, failed)]
    return np.sort(np.concatenate(parts))


def _said(booster: xgboost.Booster, table: Floats) -> Floats:
    return Forecaster(booster, Calibration())(table)
