"""The health model: taught by workers that died, measured against the rules, held, and asked."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from retries import scribble

from jobplatform.errors import NothingLearned
from jobplatform.learning import decay_lesson
from jobplatform.learning.decay_lesson import Record, why_not
from jobplatform.maintenance.health_learner import HealthLearner
from jobplatform.settings import Settings
from jobplatform.store import models, samples, verdicts, workers
from jobplatform.store.database import Database
from jobplatform.workers.foreteller import Foreteller
from jobplatform.workers.sample import Process, Sample, Worker
from jobplatform.workers.verdict import SURE
from jobplatform.workers.watch import Watched

STEP = 30.0
MIB = 1024 * 1024
STEPS = 200
DEATHS = 6


def vitals(luck: np.random.Generator, number: int, sick: float) -> dict[str, Any]:
    """Make what is measured of a worker: a common load, and what drifts when it is sick."""
    load = 2.0 + np.sin(number / 20.0)
    return {
        "cpu": float(0.2 * load + 0.02 * luck.normal() + 0.3 * sick),
        "rss": int((60 + luck.normal()) * MIB),
        "tree_rss": int((150 + 3 * luck.normal() + 60 * sick) * MIB),
        "open_files": int(30 + 30 * sick),
        "loop_wait": float(abs(0.01 * luck.normal()) + 0.2 * sick),
        "jitter": float(abs(0.01 * luck.normal()) + 0.1 * sick),
    }


def add_life(database: Database, name: str, end: float, dies: bool, seed: int) -> None:
    """Write the samples of a worker that drifts for its last hour if it dies."""
    luck = np.random.default_rng(seed)
    rows = []
    for number in range(STEPS):
        sick = max(0.0, (number - STEPS + 115) / 15.0) if dies else 0.0
        row = {**vitals(luck, number, sick), "worker_id": name, "seconds": STEP, "slots": 2, "processes": []}
        row |= {"active": 1, "waiting": 0, "started": number, "finished": number, "failed": 0}
        rows.append({**row, "sampled_at": end - STEP * (STEPS - 1 - number)})
    last = datetime.fromtimestamp(end, UTC)
    seen = {"worker_id": name, "name": f"{name}@host", "pid": 1, "started_at": end - STEP * STEPS, "report": {}}
    with database.transaction() as transaction:
        samples.add_workers(transaction, rows)
        status = "stale" if dies else "gone"
        workers.record(transaction, [{**seen, "status": status, "last_seen_at": end}], last)


def add_lives(database: Database) -> None:
    """Let one of four workers die each time, now and then."""
    now = time.time()
    for number in range(DEATHS):
        end = now - 4_000.0 - 7_300.0 * number
        for place in range(4):
            add_life(database, f"{number}-{place}", end, place == number % 4, 10 * number + place)
    add_life(database, "alive", now, False, 999)


def test_a_model_that_sees_what_the_rules_did_not_comes_into_force(database: Database) -> None:
    add_lives(database)
    version = decay_lesson.teach(database, lambda text: None).version
    with database.session() as session:
        row = models.show(session, version)
        head = models.in_force(session, models.HEALTH)
        assert models.in_force(session) is None
    assert row is not None
    assert head is not None
    assert (row["kind"], head["state"], row["metrics"]["failures"]) == ("health", "active", DEATHS), row["metrics"]
    assert row["metrics"]["auc"] > 0.9
    assert row["metrics"]["model"]["seen"] >= DEATHS - 1
    assert row["metrics"]["rules"] == {"seen": 0, "false": 0}
    assert "failures seen" in row["reason"]


def test_a_model_that_is_no_better_than_the_rules_stays_on_trial(database: Database) -> None:
    add_lives(database)
    with database.transaction() as transaction:
        for number in range(DEATHS):
            said = {"worker_id": f"{number}-{number % 4}", "verdict": "failing", "confidence": 0.9, "reason": "x"}
            at = datetime.fromtimestamp(time.time() - 4_900.0 - 7_300.0 * number, UTC)
            row = {**said, "decided_by": "rules", "features": {"rule": "memory"}}
            verdicts.add(transaction, [row], at)
    version = decay_lesson.teach(database, lambda text: None).version
    with database.session() as session:
        row = models.show(session, version)
    assert row is not None
    assert (row["state"], row["metrics"]["rules"]["seen"]) == ("shadow", DEATHS)


def test_without_deaths_there_is_nothing_to_learn(database: Database) -> None:
    add_life(database, "alive", time.time(), False, 1)
    with pytest.raises(NothingLearned, match="no worker failed"):
        decay_lesson.teach(database, lambda text: None)


@pytest.mark.parametrize(
    ("decided_by", "asked_by", "teaches"),
    [("rules", "fleet", True), ("model:3", "fleet", False), ("rules", "ann", False)],
)
def test_whoever_was_replaced_for_a_model_or_a_person_may_have_been_well(
    database: Database, decided_by: str, asked_by: str, teaches: bool
) -> None:
    end = time.time() - 4_000.0
    add_life(database, "a", end, False, 1)
    said = {"worker_id": "a", "verdict": "failing", "confidence": 0.9, "reason": "x", "decided_by": decided_by}
    with database.transaction() as transaction:
        verdicts.add(transaction, [{**said, "features": {}}], datetime.fromtimestamp(end - 10.0, UTC))
    scribble(
        database,
        """insert into @replacements (pool, worker_id, name, reason, asked_by, asked_at, ended_at, outcome)
        values ('worker', 'a', 'a@host', 'x', %(by)s, to_timestamp(%(at)s), now(), 'replaced')""",
        by=asked_by,
        at=end,
    )
    with database.session() as session:
        rows = samples.to_learn_from(session, datetime.fromtimestamp(end - 1e5, UTC), 10_000)[::-1]
    assert {decay_lesson.failed_at(row) is not None for row in rows} == {teaches}
    last_hour = [
        fails
        for part in decay_lesson.parts_of(rows)
        for fails in part.lesson.fails[part.times > end - decay_lesson.SOON + 60.0].ravel().tolist()
    ]
    assert last_hour
    # What is not known is no example of a worker that does well either.
    assert all(fails == 1.0 if teaches else math.isnan(fails) for fails in last_hour[:-1])


def test_what_keeps_a_model_from_judging_is_said() -> None:
    assert why_not(Record(5, 0), Record(4, 0), 6, 10.0) is None
    assert "5 failures" in str(why_not(Record(2, 0), Record(0, 0), 2, 10.0))
    assert "than the rules" in str(why_not(Record(4, 0), Record(4, 0), 6, 10.0))
    assert "too often" in str(why_not(Record(6, 7), Record(4, 2), 6, 10.0))


def test_a_child_trains_every_hour_and_the_model_is_asked_of_workers_that_live(
    database: Database, settings: Settings
) -> None:
    add_lives(database)
    learner = HealthLearner(database, settings)
    try:
        deadline = time.monotonic() + 120
        while learner.in_force() is None:
            assert not learner.run_once(datetime.now(UTC))["failed"]
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        learner.close()
    assert learner.run_once(datetime.now(UTC))["began"] == 0
    found = learner.in_force()
    assert found is not None
    assert found[2]
    asked = Foreteller(learner.in_force)
    said = asked({name: live(name, sick=name == "c") for name in "abcd"}, 1e6)
    assert max(said, key=lambda name: said[name].chance) == "c"
    assert said["c"].chance >= said["c"].alarm > said["a"].chance
    assert said["c"].counts
    assert SURE < 0.85


def test_off_trains_none(database: Database, settings: Settings) -> None:
    add_lives(database)
    learner = HealthLearner(database, replace(settings, health_model="off"))
    assert not learner.run_once(datetime.now(UTC))
    assert learner.in_force() is None
    assert Foreteller(learner.in_force)({"a": live("a", sick=False)}, 1e6) == {}


def live(name: str, sick: bool) -> Watched:
    luck = np.random.default_rng(ord(name))
    made = []
    cpu = 0.0
    for number in range(STEPS):
        known = vitals(luck, number, max(0.0, (number - STEPS + 40) / 20.0) if sick else 0.0)
        cpu += STEP * known["cpu"]
        processes = (Process(1, known["rss"], 0.0), Process(2, known["tree_rss"] - known["rss"], cpu))
        rest = {kind: known[kind] for kind in ("open_files", "loop_wait", "jitter")}
        at = 1e6 - STEP * (STEPS - 1 - number)
        made.append(Sample(at, processes, slots=2, active=1, started=number, finished=number, **rest))
    return Watched(Worker(name, f"{name}@host"), made, gone=False)
