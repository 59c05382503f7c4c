"""Whether what a model meets is still what it was trained on."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobplatform.learning.contest import Foretold, calibration_gap

#: Of the training rows, the newest that tell how features are spread.
_SAMPLE = 20_000
_PARTS = 10
#: Fewer rows differ from any others by chance.
LEAST = 200
#: A population-stability index above means another population (N. Siddiqi, "Credit Risk Scorecards", 2006, chapter 9).
MOST_SHIFT = 0.25
MOST_GAP = 0.1

Features = Mapping[str, float | None]
#: Of a feature, the edges of its parts, and the share of rows in each; the last part is of those without a value.
Spread = Mapping[str, Sequence[float]]


@dataclass(frozen=True, slots=True)
class Drift:
    """How far recent rows are from those of the training.

    :param shifts: the population-stability index of each feature, the furthest first.
    :param gap: by how much foretold chances differ from the shares that came true; None where nothing was foretold.
    """

    rows: int
    shifts: Mapping[str, float]
    gap: float | None

    def complaints(self) -> list[str]:
        """Say what is too far."""
        found = [f"{name} has shifted (PSI {shift:.2f})" for name, shift in self.shifts.items() if shift > MOST_SHIFT]
        if self.gap is not None and self.gap > MOST_GAP:
            found.append(f"its chances are {self.gap:.2f} off")
        return found

    def as_row(self) -> dict[str, Any]:
        """Give it for people, rounded."""
        shifts = {name: round(shift, 3) for name, shift in self.shifts.items()}
        return {"rows": self.rows, "shifts": shifts, "gap": None if self.gap is None else round(self.gap, 4)}


def spreads(rows: Sequence[Features]) -> dict[str, dict[str, list[float]]]:
    """Tell how each feature is spread, by tenths; rows are oldest first."""
    rows = rows[-_SAMPLE:]
    names = sorted({name for row in rows for name in row})
    found = {}
    for name in names:
        values = sorted(value for row in rows if (value := row.get(name)) is not None)
        edges = sorted({values[len(values) * part // _PARTS] for part in range(1, _PARTS)}) if values else []
        found[name] = {"edges": edges, "shares": _shares(edges, (row.get(name) for row in rows))}
    return found


def _shares(edges: Sequence[float], values: Iterable[float | None]) -> list[float]:
    counts = [0] * (len(edges) + 2)
    for value in values:
        counts[-1 if value is None else bisect_right(edges, value)] += 1
    return [count / max(1, sum(counts)) for count in counts]


def drift(then: Mapping[str, Spread], rows: Sequence[Mapping[str, Any]]) -> Drift | None:
    """Compare recent rows with the spreads of the training, None when they are too few.

    :param rows: with ``features``, ``chance`` and ``succeeded``.
    """
    if len(rows) < LEAST:
        return None
    shifts = {
        name: _shift(spread["shares"], _shares(spread["edges"], (row["features"].get(name) for row in rows)), len(rows))
        for name, spread in then.items()
    }
    told = [Foretold(row["chance"], 0.0, row["succeeded"]) for row in rows if row["chance"] is not None]
    gap = calibration_gap(told) if len(told) >= LEAST else None
    return Drift(len(rows), dict(sorted(shifts.items(), key=lambda item: -item[1])), gap)


def _shift(then: Sequence[float], now: Sequence[float], rows: int) -> float:
    # An empty part counts as half a row.
    pairs = [(max(one, 0.5 / rows), max(other, 0.5 / rows)) for one, other in zip(then, now, strict=True)]
    return sum((other - one) * math.log(other / one) for one, other in pairs)
