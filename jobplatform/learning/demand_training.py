"""Train a model of demand from trails of the past, and measure it on their latest part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xgboost

from jobplatform.errors import ModelRefused
from jobplatform.learning.demand import LEVELS, Demand, Told, at_level
from jobplatform.learning.rate_rule import rate_rule
from jobplatform.learning.scores import Floats
from jobplatform.learning.trail import Steps, Trail
from jobplatform.learning.view import Ahead, View

#: The earlier share of the steps teaches a model that is measured on the others, and corrected by them.
TAUGHT = 0.85
#: Fewer steps than these teach nothing.
FEWEST = 500
#: More are thinned out: steps that follow each other say nearly the same.
MOST = 30_000
#: The level by which a model is judged beside the rule.
JUDGED = 0.95

_BOOSTING: Mapping[str, Any] = {
    "objective": "reg:quantileerror", "quantile_alpha": LEVELS, "tree_method": "hist", "nthread": 2, "verbosity": 0,
    "eta": 0.1, "subsample": 0.7, "colsample_bytree": 0.5, "max_depth": 4, "min_child_weight": 100, "lambda": 20.0,
    "max_bin": 128,
}  # fmt: skip
_ROUNDS = 80


@dataclass(frozen=True, slots=True)
class Lesson:
    """What was known at some steps, and what came after them, in scales above what there was."""

    table: Floats
    later: Floats
    kept: Floats


@dataclass(frozen=True, slots=True)
class Trained:
    """A model and how it did on the latest steps before it was taught by these as well.

    :param metrics: by name: pinball losses of the model and of the rate rule, and by how much less the model loses.
    """

    model: Demand
    metrics: Mapping[str, float]
    rows: int


def train(trails: Sequence[Trail], ahead: Ahead, seed: int) -> Trained:
    """Train on all queues.

    :param trails: one a queue, all of the same step.
    :raises ModelRefused: there are too few steps.
    """
    known = [(trail, _rows(trail, ahead)) for trail in trails]
    total = sum(len(rows) for _, rows in known)
    if total < FEWEST:
        raise ModelRefused(f"samples: {total} steps teach nothing; wait for {FEWEST}")
    thin = -(-total // MOST)
    early = [(trail, rows[: int(len(rows) * TAUGHT)][::thin]) for trail, rows in known]
    late = [(trail, rows[int(len(rows) * TAUGHT) :]) for trail, rows in known]
    first = _fit(early, ahead, seed, np.zeros((2, len(LEVELS))))
    shifts, metrics = _judge(first, late)
    model = _fit([(trail, rows[::thin]) for trail, rows in known], ahead, seed, shifts)
    return Trained(model, metrics, total)


def scores(told: Told, later: Floats, kept: Floats) -> Floats:
    """Give how far what came was above each quantile, in scales: later and kept, rows, levels."""
    both = np.stack([later[:, None] - told.later, kept[:, None] - told.kept])
    return np.asarray(both / told.scale[None, :, None])


def shifts_of(found: Floats) -> Floats:
    """Give what is to be added to each quantile so that it holds what it says.

    Conformal prediction (G. Shafer, V. Vovk, "A Tutorial on Conformal Prediction", JMLR 9, 2008), of quantiles (Y.
    Romano et al., "Conformalized Quantile Regression", NeurIPS 2019).

    :param found: what ``scores`` gives.
    """
    columns = [np.quantile(found[:, :, place], level, axis=1) for place, level in enumerate(LEVELS)]
    return np.stack(columns, axis=1)


def pinball(came: Floats, said: Floats, level: float) -> float:
    """Give the mean loss of a quantile (R. Koenker, G. Bassett, "Regression Quantiles", Econometrica 46, 1978)."""
    above = came - said
    return float(np.mean(np.maximum(level * above, (level - 1.0) * above)))


def _rows(trail: Trail, ahead: Ahead) -> Steps:
    return np.arange(max(0, len(trail) - View(ahead, trail.step).reach))


def _fit(known: Sequence[tuple[Trail, Steps]], ahead: Ahead, seed: int, shifts: Floats) -> Demand:
    view = View(ahead, known[0][0].step)
    parts = [_lesson(view, trail, rows) for trail, rows in known if len(rows)]
    table = np.concatenate([part.table for part in parts])
    later, kept = (np.concatenate([getattr(part, name) for part in parts]) for name in ("later", "kept"))
    matrix = xgboost.QuantileDMatrix(table, later, max_bin=_BOOSTING["max_bin"], nthread=2)
    first = xgboost.train({**_BOOSTING, "seed": seed}, matrix, _ROUNDS)
    matrix.set_label(kept)
    second = xgboost.train({**_BOOSTING, "seed": seed}, matrix, _ROUNDS)
    for booster in (first, second):
        # Threads that wait for each other are no faster at the few rows that are foretold at once.
        booster.set_param({"nthread": 1})
    return Demand(ahead, view.step, view.names(), first, second, shifts)


def _lesson(view: View, trail: Trail, rows: Steps) -> Lesson:
    level, scale = view.level(trail, rows), view.scale(trail, rows)
    later, kept = view.targets(trail, rows)
    return Lesson(view.table(trail, rows), (later - level) / scale, (kept - level) / scale)


def _judge(model: Demand, late: Sequence[tuple[Trail, Steps]]) -> tuple[Floats, dict[str, float]]:
    """Give by how much a model is to be corrected, and how it did so far."""
    view = View(model.ahead, model.step)
    found, judged = [], []
    for trail, rows in ((trail, rows) for trail, rows in late if len(rows)):
        told, (later, kept) = model.foretell(trail, rows), view.targets(trail, rows)
        found.append(scores(told, later, kept))
        judged.append((later, at_level(told.later, JUDGED), rate_rule(trail, rows)))
    came, said, ruled = (np.concatenate(series) for series in zip(*judged, strict=True))
    model_loss, rule_loss = pinball(came, said, JUDGED), pinball(came, ruled, JUDGED)
    shifts = shifts_of(np.concatenate(found, axis=1))
    skill = 1.0 - model_loss / rule_loss if rule_loss else 0.0
    return shifts, {
        "model": model_loss,
        "rule": rule_loss,
        "skill": skill,
        "steps": float(len(came)),
    }
