"""One training on durations: learn from the earlier runs, measure on the later ones, write the model down."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from jobplatform.errors import NothingLearned
from jobplatform.learning.artifact import hash_of
from jobplatform.learning.duration import FEWEST, MOST, DurationModel, train
from jobplatform.learning.duration_candidates import history_mode, right
from jobplatform.learning.duration_past import KEPT, Ledger, Past, Runs, numbered
from jobplatform.learning.duration_rule import Estimate
from jobplatform.learning.taught import Taught
from jobplatform.store import durations, models
from jobplatform.store.database import Database

logger = logging.getLogger(__name__)

#: Of the runs, the newest share, and at most so many, that a model is measured on and learns nothing from.
_HELD_OUT = 0.15
_MOST_HELD_OUT = 10_000
#: A model decides when it is right more often than the rule by so much, and not further off by more than this.
_BETTER, _MOST_ERROR = 0.005, 1.05

Row = Mapping[str, Any]


def teach(database: Database, tell: Callable[[str], None] = logger.info, seed: int = 0) -> Taught:
    """Train a model on the newest runs and put it into the registry.

    :param tell: told what is being done.
    :raises NothingLearned: when another training runs, or there is too little to learn from.
    """
    with database.session() as session:
        if not models.claim_training(session, models.DURATION):
            raise NothingLearned("another training runs; wait for its end")
        tell("reading runs")
        rows = durations.runs(session, MOST)
        if len(rows) < 2 * FEWEST:
            raise NothingLearned(f"there are {len(rows)} runs to learn from; it takes {2 * FEWEST}")
        runs = runs_of(rows).in_order()
        cut = len(runs) - min(_MOST_HELD_OUT, int(len(runs) * _HELD_OUT))
        lesson = runs[:cut][runs.ended[:cut] < runs.submitted[cut]]
        tell(f"learning from {len(lesson)} runs")
        model = train(lesson, seed)
        tell(f"measuring on {len(runs) - cut} runs that it did not see")
        metrics = measure(model, runs, cut)
        state, reason = verdict(metrics)
        with database.transaction() as transaction:
            version = models.add(transaction, _row_of(model, lesson, metrics, reason))
            if state == "active":
                models.promote(transaction, version, reason)
    return Taught(version, state, reason, metrics)


def runs_of(rows: Sequence[Row]) -> Runs:
    """Lay rows out; a job without a key belongs to the group of its type alone."""
    columns = {name: [row[name] for row in rows] for name in ("job_type", "key", "submitted", "ended", "seconds")}
    types, keys = numbered(columns["job_type"]), numbered(columns["job_type"], columns["key"])
    keyless = np.array([not key for key in columns["key"]])
    own = np.where(keyless, len(rows) + np.arange(len(rows)), keys)
    submitted, ended, seconds = (
        np.array(columns[name], dtype=np.float64) for name in ("submitted", "ended", "seconds")
    )
    traits = np.full((len(rows), 0), np.nan)
    return Runs(submitted, ended, seconds, np.column_stack([own, types]), traits)


def measure(model: DurationModel, runs: Runs, cut: int) -> dict[str, float]:
    """Measure a model and the rule on the runs from a place on, each with what was known when it was submitted."""
    tests = runs[cut:]
    past = Ledger(runs, KEPT).past(tests)
    rule, told = history_mode(past), model.foretell(past)
    known = ~np.isnan(rule)
    came = tests.seconds
    errors = [float(np.abs(said - came)[known].mean()) if known.any() else 0.0 for said in (rule, told.seconds)]
    return {
        "runs": float(len(came)),
        "rule_within": float(right(rule, came).mean()),
        "within": float(right(told.seconds, came).mean()),
        "rule_error": errors[0],
        "error": errors[1],
        "coverage": float(((came >= told.low) & (came <= told.high))[known].mean()) if known.any() else 0.0,
    }


def verdict(metrics: Mapping[str, float]) -> tuple[str, str]:
    """Tell whether a model is to decide, and why."""
    words = (
        f"{metrics['within']:.3f} within a fifth, the rule {metrics['rule_within']:.3f}, "
        f"over {metrics['runs']:.0f} runs that it did not see"
    )
    better = metrics["within"] >= metrics["rule_within"] + _BETTER
    if better and metrics["error"] <= _MOST_ERROR * metrics["rule_error"]:
        return "active", words
    return "shadow", f"{words}: no better than the rule"


def estimates(
    model: DurationModel, version: int, histories: Sequence[Sequence[Sequence[float]]]
) -> list[Estimate | None]:
    """Foretell from the last runs of groups; None where there are too few, which the rule is for.

    :param histories: of each the seconds of its runs by level, from special to general, the newest first.
    """
    table = np.full((len(histories), model.levels, KEPT), np.nan, dtype=np.float32)
    for place, levels in enumerate(histories):
        for level, seconds in enumerate(levels):
            table[place, level, : len(seconds)] = seconds[:KEPT]
    told = model.foretell(Past(table, np.full((len(histories), model.traits), np.nan)))
    counts = [next((len(seconds) for seconds in levels if seconds), 0) for levels in histories]
    return [
        Estimate(
            float(min(low, middle)), float(middle), float(max(high, middle)), count, f"model {version}, {count} runs",
            float(chance),
        )
        if learned and not np.isnan(middle)
        else None
        for middle, chance, low, high, learned, count in zip(*told, counts, strict=True)
    ]  # fmt: skip


def _row_of(model: DurationModel, lesson: Runs, metrics: Mapping[str, float], reason: str) -> dict[str, Any]:
    artifact = model.to_bytes()
    return {
        "kind": models.DURATION,
        "window_from": float(lesson.submitted.min()),
        "window_to": float(lesson.ended.max()),
        "rows": len(lesson),
        "features": ["key", "job_type"],
        "base_rate": metrics["rule_within"],
        "metrics": {name: round(value, 4) for name, value in metrics.items()},
        "calibration": [],
        "artifact": artifact,
        "sha256": hash_of(artifact),
        "reason": reason,
    }
