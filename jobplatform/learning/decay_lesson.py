"""One training of the health model: read samples, learn who failed, measure against the rules, and write it down."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from jobplatform.errors import NothingLearned
from jobplatform.learning.artifact import hash_of
from jobplatform.learning.decay import features, lasting
from jobplatform.learning.decay_model import MOST_FALSE, Lesson, Trained, alarms, train
from jobplatform.learning.scores import Floats, auc
from jobplatform.learning.taught import Taught
from jobplatform.learning.vitals import STEP, lay_out
from jobplatform.store import models, samples, verdicts
from jobplatform.store.database import Database, Transaction

logger = logging.getLogger(__name__)

#: A worker fails before long if it does so within these seconds; a warning helps that comes so long before.
SOON, LEAST_LEAD = 3_600.0, 60.0
#: What is learned from reaches back so far, and is at most so many samples.
WINDOW, MOST = timedelta(days=14), 100_000
#: Samples of so long are laid out together.
_PART_SECONDS = 21_600.0
#: A model takes part in judging once so many failures are known, and it saw more of them than the rules did.
LEAST_FAILURES = 5

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Record:
    """How warnings did: failures that were seen in time, and workers that did well and were warned of."""

    seen: int
    false: int

    def words(self, failures: int, days: float) -> str:
        """Say it."""
        return f"{self.seen} of {failures} failures seen, {self.false / max(1e-9, days):.2f} false a worker-day"


@dataclass(frozen=True, slots=True)
class Part:
    """Some hours of samples.

    :param ended: when each worker failed, in seconds since the epoch; infinity where it did not.
    """

    lesson: Lesson
    workers: tuple[str, ...]
    times: Floats
    ended: Floats


def teach(database: Database, tell: Callable[[str], None] = logger.info, seed: int = 0) -> Taught:
    """Train a model on the newest samples and put it into the registry.

    :param tell: told what is being done.
    :raises NothingLearned: when another training runs, or no worker has failed.
    """
    with database.session() as session:
        if not models.claim_training(session, models.HEALTH):
            raise NothingLearned("another training of health runs; wait for its end")
        tell("reading samples")
        after = datetime.now(UTC) - WINDOW
        rows = samples.to_learn_from(session, after, MOST)[::-1]
        parts = parts_of(rows)
        failures = len({row["worker_id"] for row in rows if failed_at(row) is not None})
        if not failures:
            raise NothingLearned(f"no worker failed in {len(rows)} samples; there is nothing to learn yet")
        tell(f"learning from {len(rows)} samples and {failures} failures")
        trained = train([part.lesson for part in parts], SOON, seed)
        warned = [(row["worker_id"], row["at"]) for row in verdicts.alarms(session, after)]
    ours, theirs = record_of_model(trained, parts), record_of_rules(warned, parts)
    days = sum(part.lesson.days for part in parts)
    with database.transaction() as transaction:
        row = _row_of(trained, rows, ours, theirs, failures, days)
        version = models.add(transaction, row)
        state, reason = _let_in(transaction, version, ours, theirs, failures, days)
    return Taught(version, state, reason, row["metrics"])


def failed_at(row: Row) -> float | None:
    """Tell when the worker of a sample died or was replaced, whichever came first."""
    return min((at for at in (row["died"], row["replaced"]) if at is not None), default=None)


def taken_at(row: Row) -> float | None:
    """Tell when the worker of a sample was replaced as a person or a model wanted, whatever would have become of it."""
    found: float | None = row["taken"]
    return found


def parts_of(rows: Sequence[Row]) -> list[Part]:
    """Lay samples out, oldest first, some hours at a time: workers of different times are no peers."""
    if not rows:
        return []
    newest = rows[-1]["at"]
    days: defaultdict[int, defaultdict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        days[int(row["at"] // _PART_SECONDS)][row["worker_id"]].append(row)
    return [_part(day, found, newest) for day, found in sorted(days.items())]


def _part(day: int, found: Mapping[str, Sequence[Row]], newest: float) -> Part:
    begin = min(rows[0]["at"] for rows in found.values())
    end = max(rows[-1]["at"] for rows in found.values())
    layout = lay_out(found, begin, end)
    times = layout.times()
    ended, taken = (
        np.array([when(found[name][-1]) or np.inf for name in layout.workers]) for when in (failed_at, taken_at)
    )
    ahead = ended[None, :] - times[:, None]
    fails = np.where((ahead > 0) & (ahead <= SOON), 1.0, 0.0)
    # What lies after a failure, or too near the end or a needless replacement to be known, says nothing.
    unknown = (ahead <= 0) | ((fails == 0) & (times[:, None] > np.minimum(newest, taken[None, :]) - SOON))
    measured = ~np.isnan(layout.cube.values).all(axis=-1)
    fails = np.where(unknown | ~measured, np.nan, fails)
    return Part(Lesson(features(layout.cube), fails, STEP, str(day)), layout.workers, times, ended)


def record_of_model(trained: Trained, parts: Sequence[Part]) -> Record:
    """Count what the model would have warned of, among what it had not learned from."""
    seen: set[str] = set()
    false = 0
    for part, scores in zip(parts, trained.unseen, strict=True):
        for step, who in alarms(lasting(scores), trained.model.alarm, STEP):
            failed = part.lesson.fails[step, who]
            if failed == 1 and part.ended[who] - part.times[step] >= LEAST_LEAD:
                seen.add(part.workers[who])
            false += bool(failed == 0)
    return Record(len(seen), false)


def record_of_rules(warned: Sequence[tuple[str, float]], parts: Sequence[Part]) -> Record:
    """Count what the rules did warn of.

    :param warned: workers, and when they were found to be failing.
    """
    ended = {name: at for part in parts for name, at in zip(part.workers, part.ended.tolist(), strict=True)}
    known = [(name, at) for name, at in warned if name in ended]
    seen = {name for name, at in known if LEAST_LEAD <= ended[name] - at <= SOON}
    false = sum(ended[name] - at > SOON for name, at in known)
    return Record(len(seen), false)


def why_not(ours: Record, theirs: Record, failures: int, days: float) -> str | None:
    """Say what keeps a model from judging, None when nothing does."""
    if failures < LEAST_FAILURES:
        return f"on trial: {failures} of {LEAST_FAILURES} failures are known"
    if ours.seen <= theirs.seen:
        return "on trial: it has to see more failures than the rules"
    if ours.false > max(theirs.false, MOST_FALSE * days):
        return f"on trial: it warns too often of workers that do well, {MOST_FALSE} a worker-day are allowed"
    return None


def _let_in(
    transaction: Transaction, version: int, ours: Record, theirs: Record, failures: int, days: float
) -> tuple[str, str]:
    missing = why_not(ours, theirs, failures, days)
    reason = f"{ours.words(failures, days)}; the rules: {theirs.words(failures, days)}"
    if missing is None:
        models.promote(transaction, version, reason)
        return "active", reason
    head = models.in_force(transaction, models.HEALTH)
    if head is not None and head["state"] == "active":
        models.demote(transaction, head["version"], f"version {version} lost to the rules: {missing}")
    return "shadow", f"{missing}; {reason}"


def _row_of(
    trained: Trained, rows: Sequence[Row], ours: Record, theirs: Record, failures: int, days: float
) -> dict[str, Any]:
    artifact = trained.model.to_bytes()
    yes = np.concatenate([fails[known] for fails, known in _known(trained)])
    said = np.concatenate([scores[known] for scores, (_, known) in zip(trained.unseen, _known(trained), strict=True)])
    metrics = {
        "auc": round(auc(yes, said), 4),
        "alarm": trained.model.alarm,
        "failures": failures,
        "worker_days": round(days, 3),
        "model": {"seen": ours.seen, "false": ours.false},
        "rules": {"seen": theirs.seen, "false": theirs.false},
    }
    return {
        "kind": models.HEALTH,
        "window_from": rows[0]["at"],
        "window_to": rows[-1]["at"],
        "rows": len(rows),
        "features": trained.model.features,
        "base_rate": trained.model.base_rate,
        "metrics": metrics,
        "calibration": [],
        "artifact": artifact,
        "sha256": hash_of(artifact),
        "reason": f"{ours.words(failures, days)}; the rules: {theirs.words(failures, days)}",
    }


def _known(trained: Trained) -> list[tuple[Floats, Any]]:
    return [
        (lesson.fails, ~np.isnan(lesson.fails) & np.isfinite(scores))
        for lesson, scores in zip(trained.lessons, trained.unseen, strict=True)
    ]
