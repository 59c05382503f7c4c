"""What a forecast means: monotone maps from what a booster says to how often it came true."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from jobplatform.learning.scores import Floats, log_loss

_LEAST = 1e-6
#: So much of what was said stays in an isotonic map, so that it still tells apart what lies on one of its steps.
_KEPT = 0.02
#: With fewer outcomes nothing is learned of them, and with fewer than four times as many no steps are.
_FEWEST = 50
#: A map must beat the plainer one before it by so much log loss.
_BETTER = 5e-4


@dataclass(frozen=True, slots=True)
class Calibration:
    """A monotone map of chances.

    :param kind: ``none``, ``platt`` (slope and shift of the log odds) or ``isotonic`` (between points).
    """

    kind: str = "none"
    slope: float = 1.0
    shift: float = 0.0
    foretold: tuple[float, ...] = ()
    came: tuple[float, ...] = ()

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> Calibration:
        """Read what ``as_json`` gave."""
        points = {name: tuple(map(float, value[name])) for name in ("foretold", "came")}
        return cls(str(value["kind"]), float(value["slope"]), float(value["shift"]), **points)

    def as_json(self) -> dict[str, Any]:
        """Give the map as plain values."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    def __call__(self, chances: Floats) -> Floats:
        if self.kind == "platt":
            return _of_odds(self.slope * _odds(chances) + self.shift)
        if self.kind == "isotonic":
            steps = np.interp(chances, self.foretold, self.came)
            return np.asarray((1.0 - _KEPT) * steps + _KEPT * chances, dtype=np.float64)
        return np.asarray(chances, dtype=np.float64)


def calibrate(yes: Floats, chances: Floats) -> Calibration:
    """Choose the map that foretells the later half best when it is fitted to the earlier one, and fit it to both."""
    if len(yes) < 2 * _FEWEST or not 0.0 < yes.mean() < 1.0:
        return Calibration()
    half = len(yes) // 2
    fits = (platt, isotonic) if half >= 4 * _FEWEST else (platt,)
    best, least = None, log_loss(yes[half:], chances[half:])
    for fit in fits:
        loss = log_loss(yes[half:], fit(yes[:half], chances[:half])(chances[half:]))
        if loss < least - _BETTER:
            best, least = fit, loss
    return best(yes, chances) if best else Calibration()


def platt(yes: Floats, chances: Floats) -> Calibration:
    """Fit slope and shift of the log odds by Newton's method, drawn a little towards leaving them alone.

    J. Platt, "Probabilistic Outputs for Support Vector Machines", 1999, on log odds. No slope falls.
    """
    table = np.column_stack((_odds(chances), np.ones(len(chances))))
    start = weights = np.array([1.0, 0.0])
    for _ in range(50):
        said = _of_odds(table @ weights)
        slope = table.T @ (said - yes) + (weights - start)
        curve = (table * (said * (1.0 - said))[:, None]).T @ table + np.eye(2)
        step = np.linalg.solve(curve, slope)
        weights = weights - np.clip(step, -1.0, 1.0)
        if np.abs(step).max() < 1e-9:
            break
    return Calibration("platt", max(float(weights[0]), 1e-3), float(weights[1]))


def isotonic(yes: Floats, chances: Floats) -> Calibration:
    """Fit a rising map by pooling adjacent violators (M. Ayer et al., Ann. Math. Stat. 26, 1955)."""
    order = np.argsort(chances, kind="stable")
    blocks: list[tuple[float, float, float]] = []
    for said, came in zip(chances[order].tolist(), yes[order].tolist(), strict=True):
        block = (said, came, 1.0)
        while blocks and blocks[-1][1] * block[2] >= block[1] * blocks[-1][2]:
            block = tuple(map(sum, zip(blocks.pop(), block, strict=True)))  # type: ignore[assignment]
        blocks.append(block)
    foretold = tuple(said / count for said, _, count in blocks)
    # Half an outcome of each kind keeps a step from being sure.
    return Calibration("isotonic", foretold=foretold, came=_risen([(came + 0.5) / (n + 1.0) for _, came, n in blocks]))


def _risen(values: list[float]) -> tuple[float, ...]:
    return tuple(np.maximum.accumulate(values).tolist())


def _odds(chances: Floats) -> Floats:
    safe = np.clip(np.asarray(chances, dtype=np.float64), _LEAST, 1.0 - _LEAST)
    return np.asarray(np.log(safe / (1.0 - safe)), dtype=np.float64)


def _of_odds(odds: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(odds, -30.0, 30.0))), dtype=np.float64)
