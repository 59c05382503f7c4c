"""Models are trained beside the controller, tried, and put in force while everything runs."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from retries import add_model, add_retries, scribble

from jobplatform.decision import Seen
from jobplatform.learning.trial import OUTCOMES, State, Trials
from jobplatform.maintenance.current_model import of_retries
from jobplatform.maintenance.learner import Learner
from jobplatform.maintenance.training import COMMAND, Training
from jobplatform.settings import Settings
from jobplatform.store import model_trials, models
from jobplatform.store.database import Database

#: More than a controller or an operating system needs.
PATIENCE = 90.0


@pytest.fixture
def make(settings: Settings, database: Database) -> Iterator[Callable[..., Learner]]:
    made: list[Learner] = []

    def make(training: Training | None = None, **changes: Any) -> Learner:
        wanted = replace(settings, **changes)
        trials, current = Trials(promotes=wanted.retry_model == "auto"), of_retries(database)
        made.append(Learner(database, wanted, trials, current, training or Training(wanted)))
        return made[-1]

    yield make
    for learner in made:
        learner.close()


def now() -> datetime:
    return datetime.now(UTC)


def run_until(learner: Learner, name: str) -> Counter[str]:
    """Run rounds until one counts something; gives all that was counted."""
    counts: Counter[str] = Counter()
    deadline = time.monotonic() + PATIENCE
    while not counts[name]:
        assert time.monotonic() < deadline, counts
        counts += learner.run_once(now())
        assert name == "failed" or not counts["failed"], counts
    return counts


def in_force(database: Database) -> dict[str, Any]:
    with database.session() as session:
        head = models.in_force(session)
    assert head is not None
    return dict(head)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def sleeper(settings: Settings, code: str = "import sys; sys.stdin.read()", **values: Any) -> Training:
    return Training(settings, (sys.executable, "-c", code), **values)


def test_a_child_trains_and_the_model_is_held_in_shadow(database: Database, make: Callable[..., Learner]) -> None:
    add_retries(database, 600, job_types=[f"shop.{name}" for name in ("charge", "mail", "ship", "index", "report")])
    learner = make()
    assert run_until(learner, "trained")["began"] == 1
    loaded = learner.current.in_force()
    assert loaded is not None
    with database.session() as session:
        row = models.show(session, loaded.version)
    assert row is not None
    assert (row["state"], row["rows"]) == ("shadow", 510)
    assert row["metrics"]["skill"] > 0.2
    assert row["metrics"]["importance"]["load"] > 0.5
    assert set(row["metrics"]["spreads"]) == {"load", "noise", "attempt", "rare"}
    known = {"noise": 0.5, "attempt": 2.0, "rare": None}
    (low,), (high,) = loaded.model.chances([{**known, "load": 0.1}, {**known, "load": 0.9}], [20.0])
    assert low > 0.7 > 0.4 > high
    assert learner.run_once(now())["began"] == 0


def test_nothing_is_trained_on_too_little_too_often_or_when_it_is_off(
    database: Database, settings: Settings, make: Callable[..., Learner]
) -> None:
    learner, off = make(sleeper(settings)), make(sleeper(settings), retry_model="off")
    add_retries(database, OUTCOMES - 1)
    assert learner.run_once(now())["began"] == 0
    add_retries(database, 1, seed=2)
    assert off.run_once(now()) == Counter()
    assert learner.run_once(now())["began"] == 1
    learner.close()
    assert learner.run_once(now())["began"] == 0
    assert learner.run_once(now() + timedelta(seconds=301))["began"] == 1


def test_so_many_outcomes_must_be_new(database: Database, settings: Settings, make: Callable[..., Learner]) -> None:
    add_retries(database, 300)
    with database.transaction() as transaction:
        add_model(transaction)
    later = now() + timedelta(seconds=301)
    learner = make(sleeper(settings))
    assert learner.run_once(later)["began"] == 0
    add_retries(database, 49, start=time.time() + 1, seed=3)
    assert learner.run_once(later)["began"] == 0
    add_retries(database, 1, start=time.time() + 1, seed=4)
    assert learner.run_once(later)["began"] == 1


def test_there_is_one_child_and_it_ends_with_the_learner(
    database: Database, settings: Settings, make: Callable[..., Learner]
) -> None:
    add_retries(database, 300)
    training = sleeper(settings)
    learner = make(training, train_seconds=0.0)
    assert learner.run_once(now())["began"] == 1
    pid = training.pid
    assert pid is not None
    assert [learner.run_once(now())["began"] for _ in range(3)] == [0, 0, 0]
    assert training.pid == pid
    learner.close()
    assert training.pid is None
    assert not alive(pid)


def test_a_child_that_takes_too_long_is_killed(
    database: Database, settings: Settings, make: Callable[..., Learner], caplog: pytest.LogCaptureFixture
) -> None:
    add_retries(database, 300)
    training = sleeper(settings, longest=timedelta(seconds=600))
    learner = make(training)
    learner.run_once(now())
    pid = training.pid
    assert pid is not None
    assert learner.run_once(now() + timedelta(seconds=601))["failed"] == 1
    assert not alive(pid)
    assert "took longer than 600 s and was killed" in caplog.text


def test_the_last_words_of_a_child_that_fails_are_told(
    database: Database, settings: Settings, make: Callable[..., Learner], caplog: pytest.LogCaptureFixture
) -> None:
    add_retries(database, 300)
    learner = make(sleeper(settings, "import sys; sys.exit('first\\nno memory')"))
    assert run_until(learner, "failed")["began"] == 1
    assert "the training failed: exit 1: no memory" in caplog.text


def test_a_child_ends_when_whoever_started_it_is_gone(settings: Settings, database: Database) -> None:
    child = subprocess.Popen(
        COMMAND,
        env={**os.environ, "DATABASE_URL": settings.database_url, "JOBPLATFORM_SCHEMA": settings.schema},
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with child:
        assert child.stdin is not None
        child.stdin.close()
        child.stdin = None
        assert child.wait(PATIENCE) in (1, 3)


def test_a_tampered_artifact_is_retired_and_told(
    database: Database, make: Callable[..., Learner], caplog: pytest.LogCaptureFixture
) -> None:
    with database.transaction() as transaction:
        version = add_model(transaction)
    scribble(database, "update @models set artifact = artifact || 'x'::bytea")
    learner = make(retry_model="shadow")
    assert learner.run_once(now())["unusable"] == 1
    assert learner.current.get() is None
    with database.session() as session:
        row = models.show(session, version)
    assert row is not None
    assert row["state"] == "retired"
    assert "SHA-256" in row["reason"]
    assert f"model {version} cannot be used and is retired" in caplog.text
    assert learner.run_once(now())["unusable"] == 0


def test_a_job_type_is_promoted_with_its_model_and_poison_demotes_both(
    database: Database, make: Callable[..., Learner]
) -> None:
    with database.transaction() as transaction:
        version = add_model(transaction)
    learner = make(train_seconds=1e9)
    learner.run_once(now())
    observe(database, learner, 400, chance=lambda truth: truth)
    assert learner.trials.state("shop.charge") is State.ACTIVE
    assert learner.run_once(now())["changed"] == 1
    assert in_force(database)["state"] == "active"
    (row,) = trials(database)
    assert (row["state"], row["version"], row["forced"]) == ("active", version, False)
    assert row["reason"].startswith("won: Brier skill")
    observe(database, learner, 200, chance=lambda truth: truth, flipped=True, seed=2)
    assert learner.run_once(now())["changed"] == 1
    assert in_force(database)["state"] == "shadow"
    (row,) = trials(database)
    assert row["reason"].startswith("on trial: ")
    assert "before that it lost: Brier skill -" in row["reason"]


def test_another_controller_goes_on_where_the_first_was(database: Database, make: Callable[..., Learner]) -> None:
    first, second = make(train_seconds=1e9), make(train_seconds=1e9)
    first.run_once(now())
    observe(database, first, 150, chance=lambda truth: truth)
    first.run_once(now())
    second.run_once(now())
    observe(database, second, 200, chance=lambda truth: truth, seed=2)
    assert second.trials.state("shop.charge") is State.ACTIVE
    second.run_once(now())
    first.run_once(now() + timedelta(seconds=60))
    assert first.trials.state("shop.charge") is State.ACTIVE


def test_what_operators_write_counts_within_a_round(database: Database, make: Callable[..., Learner]) -> None:
    learner = make(train_seconds=1e9)
    learner.run_once(now())
    observe(database, learner, 300, chance=lambda truth: truth)
    learner.run_once(now())
    scribble(database, "update @model_trials set state = 'retired', forced = true, since = now(), reason = 'by ann'")
    learner.run_once(now())
    assert learner.trials.state("shop.charge") is State.RETIRED
    observe(database, learner, 300, chance=lambda truth: truth, seed=2)
    learner.run_once(now())
    (row,) = trials(database)
    assert (row["state"], row["reason"], row["forced"]) == ("retired", "by ann", True)


def test_a_retired_version_leaves_its_job_types_on_trial(database: Database, make: Callable[..., Learner]) -> None:
    with database.transaction() as transaction:
        version = add_model(transaction)
    learner = make(train_seconds=1e9)
    learner.run_once(now())
    observe(database, learner, 300, chance=lambda truth: truth)
    learner.run_once(now())
    with database.transaction() as transaction:
        assert models.retire(transaction, version, "it is odd")
    learner.run_once(now())
    assert learner.trials.state("shop.charge") is State.SHADOW
    assert learner.trials.standing("shop.charge").reason == f"version {version} was retired: it is odd"
    assert learner.current.get() is None


def test_what_a_model_gave_up_says_nothing_of_what_would_have_come(database: Database) -> None:
    add_retries(database, 6)
    scribble(
        database,
        """insert into @retry_decisions (job_id, attempt, action, reason, decided_by, decided_at, ended)
        select job_id, 2, 'dead_letter', 'no hope',
            case when outcome_at < (select max(outcome_at) from @retry_decisions) then 'model:3' else 'static' end,
            now(), 'FAILED' from @retry_decisions""",
    )
    scribble(database, "update @retry_decisions set ended = 'FAILED' where attempt = 1")
    with database.session() as session:
        assert [row["eventually"] for row in models.examples(session)] == [False, *[None] * 5]
    scribble(database, "update @retry_decisions set ended = 'COMPLETED' where attempt = 1")
    with database.session() as session:
        assert [row["eventually"] for row in models.examples(session, limit=3)] == [True] * 3


def test_features_that_shift_are_told_once(
    database: Database, make: Callable[..., Learner], caplog: pytest.LogCaptureFixture
) -> None:
    with database.transaction() as transaction:
        add_model(transaction)
    add_retries(database, 250)
    scribble(
        database,
        """update @models set window_to = 'epoch', metrics = '{"spreads": {"load": {"edges": [2, 3],
            "shares": [0, 0.5, 0.5, 0]}, "noise": {"edges": [0.5], "shares": [0.5, 0.5, 0]}}}'""",
    )
    learner = make(train_seconds=1e9)
    with caplog.at_level(logging.WARNING):
        for minutes in (0, 6, 12):
            learner.run_once(now() + timedelta(minutes=minutes))
    assert caplog.text.count("load has shifted (PSI ") == 1
    assert "noise" not in caplog.text


def test_old_models_are_forgotten(database: Database) -> None:
    with database.transaction() as transaction:
        versions = [add_model(transaction) for _ in range(25)]
        models.retire(transaction, versions[0], "old")
        models.retire(transaction, versions[1], "not so old")
        models.promote(transaction, versions[2], "it is good")
    scribble(database, "update @models set retired_at = now() - interval '91 days' where reason = 'old'")
    with database.transaction() as transaction:
        assert models.prune(transaction, now()) == 3
        kept = {row["version"]: row for row in models.newest(transaction, limit=100)}
    assert set(kept) == set(versions) - {versions[0], versions[3], versions[4]}
    assert kept[versions[1]]["size"] is None
    assert kept[versions[2]]["size"]


def observe(database: Database, learner: Learner, count: int, **values: Any) -> None:
    """Let outcomes come, in the tables and to the learner."""
    learner.observe(Seen(time.time(), outcomes=add_retries(database, count, **values)))


def trials(database: Database) -> list[dict[str, Any]]:
    with database.session() as session:
        return [dict(row) for row in model_trials.all_trials(session)]
