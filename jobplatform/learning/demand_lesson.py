"""One training of the demand: read what queues did, learn from it, measure against the rate rule, write it down."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from jobplatform.errors import NothingLearned
from jobplatform.learning.artifact import hash_of
from jobplatform.learning.demand_training import JUDGED, Trained, train
from jobplatform.learning.load import Sample
from jobplatform.learning.taught import Taught
from jobplatform.learning.trail import Trail
from jobplatform.learning.view import ahead_of
from jobplatform.settings import Settings
from jobplatform.store import models, scaling
from jobplatform.store.database import Database

logger = logging.getLogger(__name__)

#: What happened in this time is learned from.
_PAST = timedelta(days=14)


def teach(database: Database, settings: Settings, tell: Callable[[str], None] = logger.info) -> Taught:
    """Train a model on the samples of all queues and put it into the registry.

    :param tell: told what is being done.
    :raises NothingLearned: when another training runs.
    :raises ModelRefused: when there is too little to learn from.
    """
    with database.session() as session:
        if not models.claim_training(session, models.DEMAND):
            raise NothingLearned("another training runs; wait for its end")
        tell("reading samples")
        trails = _trails(scaling.samples(session, datetime.now(UTC) - _PAST), settings.scale_seconds)
        tell(f"learning from {sum(map(len, trails))} steps of {len(trails)} queues")
        trained = train(trails, ahead_of(settings), seed=0)
        with database.transaction() as transaction:
            return _write(transaction, trained, trails)


def _trails(rows: Any, step: float) -> list[Trail]:
    found: dict[str, Trail] = {}
    for row in rows:
        trail = found.setdefault(row["queue"], Trail(step))
        trail.append(Sample.of(row))
    return list(found.values())


def _write(transaction: Any, trained: Trained, trails: list[Trail]) -> Taught:
    version = models.add(transaction, _row(trained, trails))
    skill = trained.metrics["skill"]
    losses = (f"{name} {trained.metrics[name]:.2f}" for name in ("model", "rule"))
    reason = f"losses of the quantile {JUDGED}, in jobs a step: {', '.join(losses)}"
    if skill <= 0.0:
        return Taught(version, "shadow", reason, trained.metrics)
    models.promote(transaction, version, reason)
    return Taught(version, "active", reason, trained.metrics)


def _row(trained: Trained, trails: list[Trail]) -> dict[str, Any]:
    artifact = trained.model.to_bytes()
    return {
        "kind": models.DEMAND,
        "window_from": min(float(trail.times[0]) for trail in trails),
        "window_to": max(float(trail.times[-1]) for trail in trails),
        "rows": trained.rows,
        "features": trained.model.features,
        "base_rate": JUDGED,
        "metrics": dict(trained.metrics),
        "calibration": trained.model.shifts.tolist(),
        "artifact": artifact,
        "sha256": hash_of(artifact),
        "reason": "it was trained",
    }
