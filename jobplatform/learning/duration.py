"""A model of how long jobs take: it chooses among values of earlier runs, and tells how sure it is and how far off."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import xgboost
from numpy.typing import NDArray

from jobplatform.errors import ModelRefused
from jobplatform.learning.calibration import Calibration, calibrate
from jobplatform.learning.duration_candidates import Rows, candidates, features, right
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
_CHOOSER_ROWS, _INTERVAL_ROWS = 25_000, 30_000

_CHOOSER: Mapping[str, Any] = {
    "objective": "binary:logistic", "tree_method": "hist", "nthread": 2, "verbosity": 0, "max_bin": 128,
    "eta": 0.12, "max_depth": 6, "min_child_weight": 20, "subsample": 0.7, "colsample_bynode": 0.5, "lambda": 2.0,
}  # fmt: skip
_CHOOSER_ROUNDS = 80
_INTERVAL: Mapping[str, Any] = {
    "objective": "reg:quantileerror", "quantile_alpha": [LOW, HIGH], "tree_method": "hist", "nthread": 2,
    "verbosity": 0, "max_bin": 128, "eta": 0.15, "max_depth": 5, "min_child_weight": 30, "subsample": 0.7,
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

    :param levels: of the groups that it was taught with.
    """

    levels: int
    traits: int
    chooser: xgboost.Booster
    calibration: Calibration
    interval: xgboost.Booster

    def foretell(self, past: Past) -> Forecasts:
        """Foretell how long jobs take from what was known of earlier runs."""
        chosen, chances, table = _choose(self.chooser, past)
        few = past.counts()[:, :-1].max(axis=1, initial=0) < FEWEST_RUNS
        spread = np.asarray(self.interval.inplace_predict(table), dtype=np.float64).reshape(-1, 2)
        chances = np.where(np.isnan(chosen), 0.0, self.calibration(chances))
        low, high = (chosen * np.exp(spread[:, each]) for each in (0, 1))
        return Forecasts(chosen, chances, np.minimum(low, high), np.maximum(low, high), ~few)

    def to_bytes(self) -> bytes:
        """Write the model as a JSON document."""
        document = {
            "version": VERSION,
            "levels": self.levels,
            "traits": self.traits,
            "chooser": _text(self.chooser),
            "calibration": self.calibration.as_json(),
            "interval": _text(self.interval),
        }
        return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, data: bytes, sha256: str) -> DurationModel:
        """Read what ``to_bytes`` wrote.

        :param sha256: the hash that was kept beside it, in hexadecimal.
        :raises ModelRefused: it is not what was written, or of another version.
        """
        found = hashlib.sha256(data).hexdigest()
        if found != sha256:
            raise ModelRefused(f"artifact: its SHA-256 is {found}, not {sha256}; it was changed: train a new model")
        document = json.loads(data)
        if document.get("version") != VERSION:
            version = document.get("version")
            raise ModelRefused(f"artifact: it has version {version!r}, this code reads {VERSION}; train a new model")
        boosters = {name: _booster(document[name]) for name in ("chooser", "interval")}
        calibration = Calibration.of(document["calibration"])
        return cls(int(document["levels"]), int(document["traits"]), calibration=calibration, **boosters)


def train(runs: Runs, seed: int) -> DurationModel:
    """Learn from the newest runs; the same runs and seed give the same model.

    What is kept chooses as all of them taught; how sure it is and how far off it may be is learned from what the
    earlier ones taught to choose for the later ones.

    :raises ModelRefused: when there are too few.
    """
    if len(runs) < FEWEST:
        raise ModelRefused(f"runs: {len(runs)} teach nothing; wait for {FEWEST}")
    runs = runs.in_order()[max(0, len(runs) - MOST) :]
    ledger, luck = Ledger(runs, KEPT), np.random.default_rng(seed)
    cut = int(len(runs) * _EARLIER)
    earlier = _known(runs[:cut], runs.submitted[cut])
    trial = _chooser(ledger, earlier, luck, seed)
    later = _sample(runs[cut:], _INTERVAL_ROWS, luck)
    chosen, chances, table = _choose(trial, ledger.past(later))
    hits = right(chosen, later.seconds.astype(np.float32)).astype(np.float64)
    told = ~np.isnan(chosen)
    interval = _fit_interval(table[told], np.log(later.seconds[told] / chosen[told]), seed)
    calibration = calibrate(hits[told], chances[told])
    return DurationModel(
        runs.groups.shape[1], runs.traits.shape[1], _chooser(ledger, runs, luck, seed), calibration, interval
    )


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
    rows, values, table = _laid_out(past)
    hits = right(values, taught.seconds[rows].astype(np.float32))
    lesson = xgboost.QuantileDMatrix(table, hits.astype(np.float32), nthread=2, max_bin=128)
    return xgboost.train({**_CHOOSER, "seed": seed}, lesson, _CHOOSER_ROUNDS)


def _laid_out(past: Past) -> tuple[NDArray[np.int64], Rows, Rows]:
    """Give every candidate with the job that it is for and what speaks for it."""
    table = candidates(past)
    rows, places = np.nonzero(~np.isnan(table))
    values = table[rows, places]
    return rows, values, features(past, values, rows)


def _choose(chooser: xgboost.Booster, past: Past) -> tuple[Floats, Floats, Rows]:
    """Choose a value for each job; give with it its chance, and the features of the choice."""
    rows, values, table = _laid_out(past)
    said = np.asarray(chooser.inplace_predict(table), dtype=np.float32)
    few = (past.counts()[:, :-1].max(axis=1, initial=0) < FEWEST_RUNS)[rows]
    first = np.append(True, rows[1:] != rows[:-1]) if len(rows) else np.zeros(0, dtype=bool)
    # Where the rule decides, its value comes first.
    order = np.lexsort((-np.where(few, first, said), rows))
    best = order[np.append(True, rows[order][1:] != rows[order][:-1])] if len(rows) else order
    chosen, chances = np.full(len(past), np.nan), np.zeros(len(past))
    chosen[rows[best]], chances[rows[best]] = values[best], said[best]
    kept = np.full((len(past), table.shape[1] + 1), np.nan, dtype=np.float32)
    kept[rows[best]] = np.column_stack([table[best], said[best]])
    return chosen, chances, kept


def _fit_interval(table: Rows, off: Floats, seed: int) -> xgboost.Booster:
    lesson = xgboost.QuantileDMatrix(table, off, nthread=2, max_bin=128)
    return xgboost.train({**_INTERVAL, "seed": seed}, lesson, _INTERVAL_ROUNDS)


def _text(booster: xgboost.Booster) -> str:
    return base64.b64encode(booster.save_raw("ubj")).decode()


def _booster(text: str) -> xgboost.Booster:
    booster = xgboost.Booster({"nthread": 2})
    booster.load_model(bytearray(base64.b64decode(text)))
    return booster
