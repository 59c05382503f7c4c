"""How good forecasts of a yes or no are; pure functions of arrays, ``yes`` holding 1.0 where it came true."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Forecasts nearer to 0 or 1 count as being so near: one that was sure and wrong must not cost without bound.
_LEAST = 1e-6


def auc(yes: Floats, chances: Floats) -> float:
    """Give the chance that one that came true had the higher forecast, ties counting half; .5 where there is one kind.

    From the sum of ranks (J. Hanley, B. McNeil, "The Meaning and Use of the Area under a Receiver Operating
    Characteristic (ROC) Curve", Radiology 143, 1982).
    """
    true = float(yes.sum())
    false = len(yes) - true
    if not true or not false:
        return 0.5
    _, place, counts = np.unique(chances, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2.0)[place]
    return float((ranks[yes > 0.5].sum() - true * (true + 1) / 2.0) / (true * false))


def brier(yes: Floats, chances: Floats) -> float:
    """Give the mean squared error (G. Brier, "Verification of Forecasts Expressed in Terms of Probability", 1950)."""
    return float(np.mean((chances - yes) ** 2))


def brier_skill(yes: Floats, chances: Floats, baseline: Floats | float) -> float:
    """Give the share of a baseline's squared error that is saved: 1 is perfect, below 0 is worse than the baseline.

    D. Wilks, "Statistical Methods in the Atmospheric Sciences", section on skill scores. 0 where the baseline is right.
    """
    theirs = float(np.mean((baseline - yes) ** 2))
    return 1.0 - brier(yes, chances) / theirs if theirs else 0.0


def ece(yes: Floats, chances: Floats, bins: int = 15) -> float:
    """Give the expected calibration error over bins of equal counts: how far foretold and true rates lie apart.

    M. Naeini, G. Cooper, M. Hauskrecht, "Obtaining Well Calibrated Probabilities Using Bayesian Binning", AAAI 2015;
    with equal counts after K. Nguyen and B. O'Connor, EMNLP 2015.
    """
    order = np.argsort(chances, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    return float(sum(abs(float(np.sum(chances[part] - yes[part]))) for part in parts) / max(1, len(yes)))


def log_loss(yes: Floats, chances: Floats) -> float:
    """Give the mean negative log likelihood (I. Good, "Rational Decisions", J. R. Stat. Soc. B 14, 1952)."""
    safe = np.clip(chances, _LEAST, 1.0 - _LEAST)
    return float(-np.mean(yes * np.log(safe) + (1.0 - yes) * np.log(1.0 - safe)))


def average_precision(yes: Floats, chances: Floats) -> float:
    """Give the mean precision at each that came true, from the highest forecast down; ties count as one step.

    A forecast that knows nothing gets the base rate.
    """
    order = np.argsort(-chances, kind="stable")
    last = np.append(np.diff(chances[order]) != 0, True)
    found = np.cumsum(yes[order])[last]
    precision = found / (np.flatnonzero(last) + 1)
    return float(np.sum(np.diff(found, prepend=0.0) * precision) / max(1.0, float(yes.sum())))
