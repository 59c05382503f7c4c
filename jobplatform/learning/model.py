"""A model of the next attempt: its chance of success after each delay, and that any later attempt has one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import xgboost

from jobplatform.errors import ModelRefused
from jobplatform.learning import artifact
from jobplatform.learning.calibration import Calibration
from jobplatform.learning.scores import Floats

#: The version of the document that holds a model.
VERSION = 1
#: The feature that stands for how long the next attempt waits, if outcomes after different waits were seen.
WAITED = "log_waited"
Row = Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Forecaster:
    """A booster and what its forecasts mean."""

    booster: xgboost.Booster
    calibration: Calibration

    def __call__(self, table: Floats) -> Floats:
        return self.calibration(np.asarray(self.booster.inplace_predict(table), dtype=np.float64))


@dataclass(frozen=True, slots=True)
class Model:
    """What is foretold of attempts; frozen, as its artifact is.

    :param features: names of the columns, in order.
    :param base_rate: the share of the attempts it learned from that succeeded.
    :param later: foretells whether any later attempt succeeds; None where that was not learned.
    """

    features: tuple[str, ...]
    base_rate: float
    following: Forecaster
    later: Forecaster | None = None
    _plain: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_plain", tuple(name for name in self.features if name != WAITED))

    def chances(self, rows: Sequence[Row], delays: Sequence[float]) -> list[list[float]]:
        """Foretell, for each row and each delay in seconds, whether the next attempt succeeds."""
        if not rows or not delays:
            return [[] for _ in rows]
        known = matrix(rows, self._plain)
        if WAITED not in self.features:
            return [[chance] * len(delays) for chance in self.following(known).tolist()]
        waited = np.tile([math.log1p(max(0.0, delay)) for delay in delays], len(rows))
        table = np.insert(np.repeat(known, len(delays), axis=0), self.features.index(WAITED), waited, axis=1)
        chances: list[list[float]] = self.following(table).reshape(len(rows), len(delays)).tolist()
        return chances

    def eventual(self, rows: Sequence[Row]) -> list[float] | None:
        """Foretell for each row whether any later attempt succeeds; None where that was not learned."""
        if self.later is None:
            return None
        chances: list[float] = self.later(matrix(rows, self._plain)).tolist() if rows else []
        return chances

    def to_bytes(self) -> bytes:
        """Write the model as a JSON document."""
        parts = {"following": self.following, "later": self.later}
        values = {
            "features": self.features,
            "base_rate": self.base_rate,
            **{name: forecaster_json(part) if part else None for name, part in parts.items()},
        }
        return artifact.write(VERSION, values)

    @classmethod
    def from_bytes(cls, data: bytes, sha256: str) -> Model:
        """Read what ``to_bytes`` wrote.

        :param sha256: the hash that was kept beside it, in hexadecimal.
        :raises ModelRefused: it is not what was written, or of another version.
        """
        document = artifact.read(data, sha256, VERSION)
        if document["following"] is None:
            raise ModelRefused("artifact: it holds no booster; train a new model")
        later = None if document["later"] is None else forecaster_of_json(document["later"])
        following = forecaster_of_json(document["following"])
        return cls(tuple(document["features"]), float(document["base_rate"]), following, later)


def matrix(rows: Sequence[Row], names: Sequence[str]) -> Floats:
    """Lay rows out as a table; what is not known becomes NaN, which the boosters take for missing."""
    table = [list(map(row.get, names)) for row in rows]
    return np.array(table, dtype=np.float64).reshape(len(rows), len(names))


def forecaster_json(part: Forecaster) -> dict[str, object]:
    """Give a forecaster as values that JSON can hold."""
    return {"booster": artifact.text_of(part.booster), "calibration": part.calibration.as_json()}


def forecaster_of_json(value: Mapping[str, object]) -> Forecaster:
    """Read what ``forecaster_json`` gave."""
    calibration = value["calibration"]
    assert isinstance(calibration, Mapping)
    return Forecaster(artifact.booster_of(str(value["booster"])), Calibration.of(calibration))
