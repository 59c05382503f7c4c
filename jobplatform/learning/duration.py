"""A model of how long jobs take: it chooses among values of earlier runs, and tells how sure it is and how far off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import xgboost
from numpy.typing import NDArray

from jobplatform.errors import ModelRefused
from jobplatform.learning import artifact
from jobplatform.learning.calibration import Calibration, calibrate
from jobplatform.learning.duration_candidates import Rows, candidates, features, history_mode, right
from jobplatform.learning.duration_past import KEPT, Ledger, Past, Runs
from jobplatform.learning.scores import Floats

#: The version of the document that holds a model.
VERSION = 1
#: A group of fewer runs is left to the rule.
FEWEST_RUNS = 5
#: Fewer runs than these teach nothing.
FEWEST = 500
#: Runs that teach at most: the newest.
MOST = 100_000
#: The shares of outcomes below the foretold interval and below its end; it holds the 80 % between.
LOW, HIGH = 0.1, 0.9
#: The earlier share of the runs, which teach a model that foretells the later ones, from which the rest is learned.
_EARLIER = 0.6
#: Rows that teach a chooser, and an interval.
_CHOOSER_ROWS, _INTERVAL_ROWS = 20_000, 15_000
#: Of the candidates of a run, so many teach.
_TAUGHT = 0.6
#: Cautions that are tried, per mean error of the rule.
_CAUTIONS = (0.05, 0.1, 0.2, 0.35, 0.6, 1.0)
#: How much a group's runs count beside the chances of candidates, in telling how far off each may be: these chances say
#: little of the few runs that take far longer than others.
_RUNS_COUNT = 0.3
#: Parts that a feature is cut into.
_BINS = 64

_CHOOSER: Mapping[str, Any] = {
    "objective": "binary:logistic", "tree_method": "hist", "nthread": 2, "verbosity": 0, "max_bin": _BINS,
    "eta": 0.08, "max_depth": 6, "min_child_weight": 100, "subsample": 0.7, "colsample_bytree": 0.6, "lambda": 2.0,
}  # fmt: skip
_CHOOSER_ROUNDS = 100
_INTERVAL: Mapping[str, Any] = {
    "objective": "reg:quantileerror", "quantile_alpha": [LOW, HIGH], "tree_method": "hist", "nthread": 2,
    "verbosity": 0, "max_bin": _BINS, "eta": 0.15, "max_depth": 5, "min_child_weight": 30, "subsample": 0.7,
    "colsample_bynode": 0.5,
}  # fmt: skip
_INTERVAL_ROUNDS = 50
_BINARY = NDArray[np.bool_]


class Forecasts(NamedTuple):
    """What is foretold of some jobs, in seconds; NaN where nothing is known.

    :param chances: that the run takes what is foretold, give or take a fifth.
    :param low: a tenth of the runs take less; ``high`` a tenth more.
    :param learned: whether the model chose; else the rule did, as there are too few runs.
    """

    seconds: Floats
    chances: Floats
    low: Floats
    high: Floats
    learned: _BINARY


@dataclass(frozen=True, slots=True)
class DurationModel:
    """What chooses among the values of earlier runs, and what its choices are worth.

    :param levels: of the groups that it was taught with, and how many of these count as a job's own history.
    :param caution: by how much a second that a choice is to be expected off by counts against its chance.
    """

    levels: int
    own: int
    traits: int
    caution: float
    chooser: xgboost.Booster
    calibration: Calibration
    interval: xgboost.Booster

    def foretell(self, past: Past) -> Forecasts:
        """Foretell how long jobs take from what was known of earlier runs."""
        few = _are_few(past, self.own)
        chosen, chances, table = _choose(_weighed(self.chooser, past), few, self.caution)
        spread = np.asarray(self.interval.inplace_predict(table), dtype=np.float64).reshape(-1, 2)
        chances = np.where(np.isnan(chosen), 0.0, self.calibration(chances))
        low, high = (chosen * np.exp(spread[:, each]) for each in (0, 1))
        return Forecasts(chosen, chances, np.minimum(low, high), np.maximum(low, high), ~few)

    def to_bytes(self) -> bytes:
        """Write the model as a JSON document."""
        values = {
            "levels": self.levels,
            "own": self.own,
            "traits": self.traits,
            "caution": self.caution,
            "chooser": artifact.text_of(self.chooser, "ubj"),
            "calibration": self.calibration.as_json(),
            "interval": artifact.text_of(self.interval, "ubj"),
        }
        return artifact.write(VERSION, values)

    @classmethod
    def from_bytes(cls, data: bytes, sha256: str) -> DurationModel:
        """Read what ``to_bytes`` wrote.

        :param sha256: the hash that was kept beside it, in hexadecimal.
        :raises ModelRefused: it is not what was written, or of another version.
        """
        document = artifact.read(data, sha256, VERSION)
        boosters = {name: artifact.booster_of(document[name]) for name in ("chooser", "interval")}
        calibration = Calibration.of(document["calibration"])
        shape = {name: int(document[name]) for name in ("levels", "own", "traits")}
        return cls(**shape, caution=float(document["caution"]), calibration=calibration, **boosters)


def train(runs: Runs, seed: int, own: int | None = None, latest: bool = False) -> DurationModel:
    """Learn from the newest runs; the same runs and seed give the same model.

    What is kept chooses as all of them taught; how sure it is and how far off it may be is learned from what the
    earlier ones taught to choose for the later ones.

    :param own: so many levels, the special ones, count as a job's own history; all if not given.
    :param latest: whether what was submitted last, and still runs, will be known when it foretells.
    :raises ModelRefused: when there are too few.
    """
    own = runs.groups.shape[1] if own is None else own
    if len(runs) < FEWEST:
        raise ModelRefused(f"runs: {len(runs)} teach nothing; wait for {FEWEST}")
    runs = runs.in_order()[max(0, len(runs) - MOST) :]
    ledger, luck = Ledger(runs, KEPT, latest), np.random.default_rng(seed)
    cut = int(len(runs) * _EARLIER)
    earlier = _known(runs[:cut], runs.submitted[cut])
    trial = _chooser(ledger, earlier, luck, seed)
    later = _sample(runs[cut:], _INTERVAL_ROWS, luck)
    past = ledger.past(later)
    laid, few = _weighed(trial, past), _are_few(past, own)
    caution = _caution(laid, few, past, later.seconds)
    chosen, chances, table = _choose(laid, few, caution)
    hits = right(chosen, later.seconds.astype(np.float32)).astype(np.float64)
    told = ~np.isnan(chosen)
    interval = _fit_interval(table[told], np.log(later.seconds[told] / chosen[told]), seed)
    calibration = calibrate(hits[told], chances[told])
    chooser, shape = _chooser(ledger, runs, luck, seed), (runs.groups.shape[1], own, runs.traits.shape[1])
    return DurationModel(*shape, caution, chooser, calibration, interval)


def _are_few(past: Past, own: int) -> _BINARY:
    """Tell for which jobs there are too few runs, so that the rule foretells."""
    return np.asarray(past.counts()[:, :own].max(axis=1, initial=0) < FEWEST_RUNS)


def _known(runs: Runs, at: float) -> Runs:
    return runs[runs.ended < at]


def _sample(runs: Runs, count: int, luck: np.random.Generator) -> Runs:
    """Take some runs at random, in order."""
    if len(runs) <= count:
        return runs
    return runs[np.sort(luck.choice(len(runs), count, replace=False))]


def _chooser(ledger: Ledger, runs: Runs, luck: np.random.Generator, seed: int) -> xgboost.Booster:
    taught = _sample(runs, _CHOOSER_ROWS, luck)
    past = ledger.past(taught)
    rows, values, table = _laid_out(past, luck)
    hits = right(values, taught.seconds[rows].astype(np.float32))
    lesson = xgboost.QuantileDMatrix(table, hits.astype(np.float32), nthread=2, max_bin=_BINS)
    return xgboost.train({**_CHOOSER, "seed": seed}, lesson, _CHOOSER_ROUNDS)


def _laid_out(past: Past, luck: np.random.Generator | None = None) -> tuple[NDArray[np.int64], Rows, Rows]:
    """Give every candidate, or a part of them, with the job that it is for and what speaks for it."""
    table = candidates(past)
    known = ~np.isnan(table)
    if luck is not None:
        known &= luck.random(table.shape) < _TAUGHT
    rows, places = np.nonzero(known)
    values = table[rows, places]
    return rows, values, features(past, values, rows)


class _Laid(NamedTuple):
    """The candidates of some jobs, and what the chooser says of them.

    :param table: the candidates of each job, NaN where there is none; the rule's comes first.
    :param said: the chance of each, 0 where there is none.
    :param risks: the seconds that each is to be expected off by, beyond those of the best of its job.
    :param features: of all that there are, in the order of ``table``.
    """

    table: Rows
    said: Rows
    risks: Rows
    features: Rows


def _weighed(chooser: xgboost.Booster, past: Past) -> _Laid:
    rows, values, table = _laid_out(past)
    found = np.full((2, len(past), int(np.bincount(rows, minlength=1).max())), np.nan, dtype=np.float32)
    starts = np.searchsorted(rows, np.arange(len(past)))
    places = np.arange(len(rows)) - starts[rows]
    found[0, rows, places] = values
    found[1, rows, places] = chooser.inplace_predict(table)
    said = np.nan_to_num(found[1])
    return _Laid(found[0], said, _risks(found[0], said, past), table)


def _choose(laid: _Laid, few: _BINARY, caution: float) -> tuple[Floats, Floats, Rows]:
    """Choose a value for each job; give with it its chance, and the features of the choice.

    How far off a candidate is to be expected counts against it.
    """
    known = ~np.isnan(laid.table)
    worth = np.where(known, laid.said, -np.inf) - caution * laid.risks
    worth[few, 1:] = -np.inf
    best = np.argmax(worth, axis=1)
    rows = np.arange(len(best))
    chosen, chances = laid.table[rows, best].astype(np.float64), laid.said[rows, best]
    kept = np.full((len(best), laid.features.shape[1] + 1), np.nan, dtype=np.float32)
    places = np.cumsum(known).reshape(known.shape)[rows, best] - 1
    some = ~np.isnan(chosen)
    kept[some] = np.column_stack([laid.features[places[some]], chances[some]])
    return chosen, chances.astype(np.float64), kept


def _risks(table: Rows, said: Rows, past: Past) -> Rows:
    """Tell how far off each candidate is to be expected, from the chances of all and the runs of the group."""
    runs = _own_runs(past)
    known = ~np.isnan(runs)
    shares = [(1.0 - _RUNS_COUNT) * _shares(said), _RUNS_COUNT * _shares(known.astype(np.float32))]
    values, weights = np.nan_to_num(np.hstack([table, runs])), np.hstack(shares)
    risks = np.full_like(table, np.inf)
    for place in range(table.shape[1]):
        risks[:, place] = (weights * np.abs(values - values[:, place : place + 1])).sum(axis=1)
    risks[np.isnan(table)] = np.inf
    least = risks.min(axis=1, keepdims=True)
    return np.asarray(np.nan_to_num(risks - np.where(np.isfinite(least), least, 0.0), posinf=0.0), dtype=np.float32)


def _shares(weights: Rows) -> Rows:
    return np.asarray(weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-9), dtype=np.float32)


def _own_runs(past: Past) -> Rows:
    """Give the runs of the most special group of each job that has enough."""
    enough = past.counts() >= FEWEST_RUNS
    enough[:, -1] = True
    return np.asarray(past.seconds[np.arange(len(past)), np.argmax(enough, axis=1)], dtype=np.float32)


def _caution(laid: _Laid, few: _BINARY, past: Past, came: Floats) -> float:
    """Find the least caution with which choices are not further off than the rule's."""
    rule = history_mode(past)
    known = ~np.isnan(rule)
    error = float(np.abs(rule - came)[known].mean()) if known.any() else 0.0
    for caution in (step / max(error, 1e-6) for step in _CAUTIONS):
        chosen, _, _ = _choose(laid, few, caution)
        if np.abs(chosen - came)[known].mean() <= error:
            return caution
    return caution


def _fit_interval(table: Rows, off: Floats, seed: int) -> xgboost.Booster:
    lesson = xgboost.QuantileDMatrix(table, off, nthread=2, max_bin=_BINS)
    return xgboost.train({**_INTERVAL, "seed": seed}, lesson, _INTERVAL_ROUNDS)
