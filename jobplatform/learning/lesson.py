"""One training: read what came of retries, learn from it, measure against the rule, and write the model down."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from jobplatform.errors import ModelRefused, NothingLearned
from jobplatform.learning.artifact import hash_of
from jobplatform.learning.contest import Score
from jobplatform.learning.drift import spreads
from jobplatform.learning.measure import Measured, measure
from jobplatform.learning.model import Model
from jobplatform.learning.scores import Floats, auc, ece
from jobplatform.learning.taught import Taught
from jobplatform.learning.training import Example, Trained, reliability, train
from jobplatform.learning.trial import OUTCOMES
from jobplatform.store import models
from jobplatform.store.database import Database, Transaction

logger = logging.getLogger(__name__)

#: Of the outcomes, the newest share, and at most so many, that a model is measured on and learns nothing from.
_HELD_OUT = 0.15
_MOST_HELD_OUT = 1_000
#: Of the newest outcomes, so many are looked at when a model is measured once more.
_EVALUATED = 5_000

Row = Mapping[str, Any]


def teach(database: Database, tell: Callable[[str], None] = logger.info, seed: int = 0) -> Taught:
    """Train a model on the newest outcomes and put it into the registry.

    :param tell: told what is being done.
    :raises NothingLearned: when another training runs, or there is too little to learn from.
    """
    with database.session() as session:
        if not models.claim_training(session):
            raise NothingLearned("another training runs; wait for its end")
        tell("reading outcomes")
        rows = models.examples(session)[::-1]
        if len(rows) < OUTCOMES:
            raise NothingLearned(f"there are {len(rows)} outcomes of retries to learn from; it takes {OUTCOMES}")
        lessons, held_out = split(rows)
        tell(f"learning from {len(lessons)} outcomes")
        trained = train([example_of(row) for row in lessons], seed)
        tell(f"measuring on {len(held_out)} outcomes that it did not see")
        measured = measure(foretell(trained.model, held_out), held_out, lessons)
        with database.transaction() as transaction:
            version = models.add(transaction, _row_of(trained, lessons, measured))
            state, reason = _let_in(transaction, version, measured, held_out, lessons)
    return Taught(version, state, reason, measured.overall.as_row())


def split(rows: Sequence[Row]) -> tuple[Sequence[Row], Sequence[Row]]:
    """Part rows, oldest first, into those to learn from and the newest, to be measured on."""
    held_out = min(_MOST_HELD_OUT, int(len(rows) * _HELD_OUT))
    return rows[: len(rows) - held_out], rows[len(rows) - held_out :]


def example_of(row: Row) -> Example:
    """Turn a row into what is learned from."""
    return Example(
        features=row["features"],
        waited=row["waited"],
        succeeded=row["succeeded"],
        group=row["job_type"],
        at=row["decided_at"],
        eventually=row["eventually"],
        weight=1.0,
    )


def foretell(model: Model, rows: Sequence[Row]) -> list[float]:
    """Give the chance of each row for the delay that was really waited."""
    return [model.chances([row["features"]], [row["waited"] or 0.0])[0][0] for row in rows]


def evaluate(transaction: Transaction, row: Row) -> Measured:
    """Measure a model of the registry on the newest outcomes that it did not learn from.

    :param row: as ``store.models.show`` gives it.
    :raises NothingLearned: when there are none.
    """
    found = models.examples(transaction, limit=_EVALUATED)[::-1]
    since = row["window_to"].timestamp()
    before = [each for each in found if each["at"] <= since]
    unseen = found[len(before) :]
    if not unseen:
        raise NothingLearned(f"model {row['version']}: no outcome is newer than those it learned from; wait for some")
    return measure(foretell(load(transaction, row["version"]), unseen), unseen, before)


def importance(model: Model) -> dict[str, float]:
    """Tell by how much each feature helped to part successes from failures, as shares of all; the most first."""
    scores: Any = model.following.booster.get_score(importance_type="total_gain")
    found: dict[str, float] = scores
    whole = sum(found.values()) or 1.0
    named = {model.features[int(column[1:])]: round(gain / whole, 4) for column, gain in found.items()}
    return dict(sorted(named.items(), key=lambda item: -item[1]))


def load(transaction: Transaction, version: int) -> Model:
    """Load a version of the registry.

    :raises ModelRefused: when its artifact is not kept any more, or is not what was written.
    """
    found = models.artifact(transaction, version)
    if found is None:
        raise ModelRefused(f"model {version}: its artifact is not kept any more; choose a newer one")
    return Model.from_bytes(*found)


def metrics_of(measured: Measured) -> dict[str, Any]:
    """Give what was measured by name, for people."""
    yes, chances = _series(measured)
    return {**measured.as_row(), "auc": round(auc(yes, chances), 4), "ece": round(ece(yes, chances), 4)}


def calibration_of(measured: Measured) -> list[list[float]]:
    """Give of each tenth of the outcomes the mean chance, the share that came true, and their number."""
    return [[round(number, 4) for number in part] for part in reliability(*_series(measured))]


def _series(measured: Measured) -> tuple[Floats, Floats]:
    told = np.array([(each.succeeded, each.model) for each in measured.told], dtype=np.float64).reshape(-1, 2)
    return told[:, 0], told[:, 1]


def _let_in(
    transaction: Transaction, version: int, measured: Measured, held_out: Sequence[Row], before: Sequence[Row]
) -> tuple[str, str]:
    """Let a new version follow an active one if it is no worse on what neither has seen."""
    head = models.in_force(transaction)
    skill = f"Brier skill {measured.overall.skill:.2f} over {len(held_out)} outcomes that it did not see"
    if head is None or head["state"] != "active":
        return "shadow", skill
    ahead = head["version"]
    theirs = _of_ahead(transaction, ahead, held_out, before)
    if theirs is None or measured.overall.model <= theirs.model:
        reason = skill if theirs is None else f"{skill}; {_against(measured.overall, theirs, ahead)}"
        models.promote(transaction, version, reason)
        return "active", reason
    reason = f"it is worse than what is in force: {_against(measured.overall, theirs, ahead)}"
    models.retire(transaction, version, reason)
    return "retired", reason


def _of_ahead(transaction: Transaction, version: int, held_out: Sequence[Row], before: Sequence[Row]) -> Score | None:
    """Measure the version in force on the same outcomes, None when it cannot be used any more.

    It learned from older ones, since each version holds the newest out.
    """
    try:
        return measure(foretell(load(transaction, version), held_out), held_out, before).overall
    except (ModelRefused, ValueError, KeyError, TypeError) as error:
        logger.warning("model %d cannot be compared with: %s", version, error)
        return None


def _against(ours: Score, theirs: Score, version: int) -> str:
    return f"Brier score {ours.model:.4f}, that of version {version} {theirs.model:.4f}"


def _row_of(trained: Trained, lessons: Sequence[Row], measured: Measured) -> dict[str, Any]:
    artifact = trained.model.to_bytes()
    times = [row["at"] for row in lessons]
    return {
        "kind": models.RETRY,
        "window_from": min(times),
        "window_to": max(times),
        "rows": len(lessons),
        "features": trained.model.features,
        "base_rate": trained.model.base_rate,
        "metrics": {
            **metrics_of(measured),
            "training": trained.metrics,
            "importance": importance(trained.model),
            "spreads": spreads([row["features"] for row in lessons]),
        },
        "calibration": calibration_of(measured),
        "artifact": artifact,
        "sha256": hash_of(artifact),
        "reason": "it was trained",
    }
