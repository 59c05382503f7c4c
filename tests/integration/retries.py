"""Retries in the tables: failed attempts that were decided on, and what came of them."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from jobplatform.decision import Outcome
from jobplatform.learning.artifact import hash_of
from jobplatform.learning.training import Example, train
from jobplatform.records import NewJob, new_job_id, row_of
from jobplatform.store import models, new_jobs, retry_decisions
from jobplatform.store.database import Database, Transaction


def add_retries(
    database: Database,
    count: int,
    *,
    job_types: Sequence[str] = ("shop.charge",),
    seed: int = 1,
    start: float | None = None,
    flipped: bool = False,
    chance: Callable[[float], float] | None = None,
) -> list[Outcome]:
    """Write decisions to try again and what came of them, a second apart; what comes depends on one feature.

    :param start: when the first was decided on, in seconds since the epoch; they end now unless it is given.
    :param chance: what a model had foretold, given the truth.
    """
    luck = random.Random(seed)
    start = time.time() - count - 1 if start is None else start
    decisions: list[dict[str, Any]] = []
    ends: list[dict[str, Any]] = []
    for number in range(count):
        job_id, at, load = new_job_id(), start + number, luck.random()
        truth = 0.9 if load < 0.5 else 0.15
        succeeded = (luck.random() < truth) is not flipped
        features = {"load": load, "noise": luck.random(), "attempt": 2.0, "rare": None if number % 3 else 1.0}
        decision = {
            "job_id": job_id,
            "attempt": 1,
            "job_type": job_types[number % len(job_types)],
            "delay": 20.0,
            "reason": "backoff",
        }
        decision |= {"decided_by": "static", "completed_at": at, "fingerprint": "f", "free": False}
        decisions.append({**decision, "features": features, "chance": chance(truth) if chance else None})
        end = {"job_id": job_id, "attempt": 2, "outcome": "succeeded" if succeeded else "failed"}
        end |= {"started_at": at + 20 * luck.random(), "at": at + 0.5, "ended": "COMPLETED" if succeeded else "FAILED"}
        ends.append(end)
    rows = [row_of(NewJob(each["job_id"], each["job_type"], '{"args":[],"kwargs":{}}', "celery")) for each in decisions]
    with database.transaction() as transaction:
        new_jobs.insert(transaction, rows)
        retry_decisions.record(transaction, decisions)
        found = retry_decisions.settle(transaction, ends)
    return sorted(found, key=lambda each: each.at)


def add_model(transaction: Transaction, **values: Any) -> int:
    """Write a model that knows ``load``."""
    artifact, sha256, features = trained()
    row = {"kind": models.RETRY, "window_from": 0.0, "window_to": time.time(), "rows": 300, "features": features}
    row |= {"base_rate": 0.5, "metrics": {"skill": 0.2}, "calibration": [[0.2, 0.25, 50], [0.8, 0.75, 50]]}
    return models.add(
        transaction, {**row, "artifact": artifact, "sha256": sha256, "reason": "it was trained", **values}
    )


@cache
def trained() -> tuple[bytes, str, tuple[str, ...]]:
    """Train such a model, and give its artifact, the hash, and the features."""
    luck = random.Random(1)
    loads = [luck.random() for _ in range(300)]
    model = train([Example({"load": load}, 20.0, luck.random() > load, "t") for load in loads], 1).model
    return model.to_bytes(), hash_of(model.to_bytes()), model.features


def scribble(database: Database, sql: str, **parameters: Any) -> list[Any]:
    """Run a statement in which ``@`` stands before the names of our tables; lists are given as JSON."""
    values = {name: json.dumps(value) if isinstance(value, list) else value for name, value in parameters.items()}
    with database.transaction() as transaction:
        result = transaction.connection.exec_driver_sql(sql.replace("@", f"{database.schema}."), values)
        return list(result.mappings().all()) if result.returns_rows else []
