"""How many jobs will run or wait at once while a worker that is asked for now is the newest: quantiles, by XGBoost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xgboost

from jobplatform.errors import ModelRefused
from jobplatform.learning import artifact
from jobplatform.learning.scores import Floats
from jobplatform.learning.trail import Steps, Trail
from jobplatform.learning.view import Ahead, View

#: The quantiles that are learned; others lie between them.
LEVELS = (0.5, 0.8, 0.9, 0.95, 0.98)
VERSION = 2


@dataclass(frozen=True, slots=True)
class Told:
    """What is foretold of some rows, in jobs at once: a row each, a column for each of ``LEVELS``.

    :param later: for some time after what is asked for now is up.
    :param kept: from now on until then.
    :param scale: by how much their number varies by chance.
    """

    later: Floats
    kept: Floats
    scale: Floats


@dataclass(frozen=True, slots=True)
class Demand:
    """A trained model.

    :param step: seconds of a step of the trails that it knows.
    :param shifts: what was to be added to its quantiles, in scales, to hold what they say: two rows, later and kept.
    """

    ahead: Ahead
    step: float
    features: tuple[str, ...]
    later: xgboost.Booster
    kept: xgboost.Booster
    shifts: Floats

    def foretell(self, trail: Trail, rows: Steps) -> Told:
        """Foretell what is needed after some rows; to be corrected by ``shifts``, or by what has shown since."""
        view = View(self.ahead, self.step)
        table = view.table(trail, rows)
        level, scale = view.level(trail, rows), view.scale(trail, rows)
        return Told(_jobs(self.later, table, level, scale), _jobs(self.kept, table, level, scale), scale)

    def to_bytes(self) -> bytes:
        """Write the model as a JSON document."""
        values = {
            "ahead": self.ahead._asdict(),
            "step": self.step,
            "features": self.features,
            "levels": LEVELS,
            "later": artifact.text_of(self.later),
            "kept": artifact.text_of(self.kept),
            "shifts": self.shifts.tolist(),
        }
        return artifact.write(VERSION, values)

    @classmethod
    def from_bytes(cls, data: bytes, sha256: str) -> Demand:
        """Read what ``to_bytes`` wrote.

        :param sha256: the hash that was kept beside it, in hexadecimal.
        :raises ModelRefused: it is not what was written, or of another version.
        """
        document = artifact.read(data, sha256, VERSION)
        if tuple(document["levels"]) != LEVELS:
            raise ModelRefused("artifact: it knows other quantiles than this code; train a new model")
        ahead, step = Ahead(**document["ahead"]), float(document["step"])
        if tuple(document["features"]) != View(ahead, step).names():
            raise ModelRefused("artifact: it knows other features than this code; train a new model")
        return cls(
            ahead,
            step,
            tuple(document["features"]),
            artifact.booster_of(document["later"], threads=1),
            artifact.booster_of(document["kept"], threads=1),
            np.array(document["shifts"], dtype=np.float64),
        )


def at_level(quantiles: Floats, level: float) -> Floats:
    """Give what lies at a level between those that are learned.

    :param quantiles: a column for each of ``LEVELS``.
    """
    place = float(np.interp(level, LEVELS, np.arange(len(LEVELS))))
    below = min(int(place), len(LEVELS) - 2)
    share = place - below
    return np.asarray(quantiles[..., below] * (1.0 - share) + quantiles[..., below + 1] * share)


def chance_above(quantiles: Floats, bound: float) -> float:
    """Give the chance that more is needed than some bound.

    :param quantiles: one for each of ``LEVELS``; beyond these the chance falls off as it does between the last two.
    """
    if bound >= quantiles[-1]:
        width = max(1.0, float(quantiles[-1] - quantiles[-2]))
        fall = (1.0 - LEVELS[-1]) / (1.0 - LEVELS[-2])
        return float((1.0 - LEVELS[-1]) * fall ** ((bound - quantiles[-1]) / width))
    if bound <= quantiles[0]:
        width = max(1.0, float(quantiles[1] - quantiles[0]))
        return float(1.0 - LEVELS[0] * 0.5 ** ((quantiles[0] - bound) / width))
    return 1.0 - float(np.interp(bound, np.maximum.accumulate(quantiles), LEVELS))


def _jobs(booster: xgboost.Booster, table: Floats, level: Floats, scale: Floats) -> Floats:
    said = booster.inplace_predict(table).reshape(len(table), len(LEVELS))
    ordered = np.maximum.accumulate(said, axis=1)
    return np.asarray(np.maximum(0.0, level[:, None] + ordered * scale[:, None]), dtype=np.float64)
