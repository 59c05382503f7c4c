"""Every action that writes is written down: one example of each, which a new action has to have here as well."""

from __future__ import annotations

import importlib
import io
import itertools
import pkgutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from command_line import CliEnvironment
from retries import add_model, add_retries

import jobplatform
import jobplatform.actions
from jobplatform.actions import (
    alerts,
    backups,
    batches,
    breakers,
    bulk,
    clusters,
    fleet,
    jobs,
    keys,
    letters,
    limits,
    models,
    people,
    plans,
    quarantine,
    queues,
    replays,
    resubmission,
    retention,
    saved_filters,
    schedule_edits,
    schedules,
    submission,
    workers,
)
from jobplatform.actions.action import ACTIONS, Action
from jobplatform.actions.actor import Actor, Scope, Via, at_terminal
from jobplatform.actions.bulk import Wish
from jobplatform.actions.desk import Desk
from jobplatform.actions.permission import Permission
from jobplatform.actions.plans import Blast
from jobplatform.actions.quarantine import Choice
from jobplatform.actions.replays import Pace
from jobplatform.actions.steering import Chosen
from jobplatform.actions.submission import Submission
from jobplatform.errors import Forbidden
from jobplatform.jobs.editing import parse_setting
from jobplatform.limits import Limit
from jobplatform.records import new_job_id
from jobplatform.secrecy.keyring import KeyRing
from jobplatform.settings import Settings
from jobplatform.store import audit, migrate
from jobplatform.store import batches as batch_rows
from jobplatform.store import clusters as cluster_rows
from jobplatform.store import quarantine as quarantine_rows
from jobplatform.store import workers as worker_rows
from jobplatform.store.database import Database
from jobplatform.store.dead_letters import LetterFilter
from jobplatform.store.pauses import Hold

for _module in pkgutil.iter_modules(jobplatform.actions.__path__):
    importlib.import_module(f"jobplatform.actions.{_module.name}")

WRITING = sorted(name for name, each in ACTIONS.items() if each.writes)
AT_ALL = Wish("jobs.retry", "type:shop.mail")
ROOT = at_terminal("root")
NOTHING = "audited.nothing"
HOLD = Hold("a move", "root")
PASSWORD = "correct horse battery"
_numbers = itertools.count(1)


@dataclass
class Place:
    """A desk, and the rows that an action may be about."""

    desk: Desk
    cli: CliEnvironment
    directory: Path

    def name(self) -> str:
        return f"n{next(_numbers)}"

    def file(self) -> Path:
        return self.directory / self.name()

    def restored(self) -> None:
        """Go on in another schema, into which this one was restored."""
        file, schema = self.file(), f"{self.desk.settings.schema}_{next(_numbers)}"
        backups.make(self.desk, ROOT, file, str)
        there = replace(self.desk.settings, schema=schema)
        made = Database(there)
        migrate.upgrade(made)
        self.desk.database.close()
        self.desk = replace(self.desk, settings=there, database=made)
        self.cli = CliEnvironment({**self.cli.env, "JOBPLATFORM_SCHEMA": schema}, made)
        backups.restore(self.desk, ROOT, file, str, keep_redis=True)

    def with_keys(self) -> Desk:
        ring = KeyRing({"k": bytes(32)})
        return replace(self.desk, settings=replace(self.desk.settings, encryption_keys=ring))

    def job(self, state: str = "PENDING") -> Chosen:
        return Chosen((self.cli.add(state),))

    def letter(self) -> LetterFilter:
        job_id = self.cli.fail(error_type=self.name())
        found = letters.list_letters(self.desk, ROOT, LetterFilter(), 1).rows[0]
        assert found["job_id"] == job_id
        return LetterFilter((found["dlq_id"],))

    def replay(self) -> int:
        made = replays.start(self.desk, ROOT, self.letter(), Pace())
        assert made is not None
        return int(made["replay_id"])

    def batch(self) -> str:
        batch_id = new_job_id()
        with self.desk.database.transaction() as transaction:
            batch_rows.insert(transaction, batch_id, "import", {})
        return batch_id

    def schedule(self) -> str:
        name = self.name()
        schedule_edits.add(self.desk, ROOT, name, "shop.report", "@every 1h", {})
        return name

    def cluster(self) -> str:
        name = f"{next(_numbers):016x}"
        seen = {"errors": 1, "first_seen": 1.0, "last_seen": 2.0, "job_types": {"t": 1}, "releases": []}
        with self.desk.database.transaction() as transaction:
            cluster_rows.count(transaction, [{"fingerprint": name, "error_type": "E", "text": name, **seen}])
        return name

    def worker(self) -> str:
        name = f"worker{next(_numbers)}@here"
        said = {"pid": 1, "status": "alive", "started_at": time.time(), "last_seen_at": time.time(), "report": {}}
        with self.desk.database.transaction() as transaction:
            rows = [{"worker_id": name, "name": name, **said}]
            worker_rows.record(transaction, rows, datetime(2026, 1, 1, tzinfo=UTC))
        return name

    def model(self) -> int:
        with self.desk.database.transaction() as transaction:
            return add_model(transaction)

    def trained(self) -> None:
        add_retries(self.desk.database, 600)
        models.train(self.desk, ROOT, None)

    def plan(self) -> str:
        agent = Actor("ann/agent", Via.AGENT, frozenset(Permission), Scope())
        asked = plans.ask(self.desk, agent, "queues.resume", {"names": ["mail"]}, Blast(1))
        return str(asked["plan"])

    def quarantined(self) -> int:
        row = {"kind": "entry", "stream_id": self.name(), "field": "0", "queue": None, "size": 1}
        with self.desk.database.transaction() as transaction:
            quarantine_rows.add(transaction, [{**row, "raw": "Pw==", "reason": "no JSON"}])
        return int(quarantine.list_quarantine(self.desk, ROOT, limit=1).rows[0]["quarantine_id"])

    def user(self) -> str:
        name = self.name()
        people.add_user(self.desk, ROOT, name, PASSWORD, "viewer")
        return name

    def token(self) -> int:
        made = people.add_token(self.desk, ROOT, self.user(), "ci", ["jobs.read"], timedelta(days=1), Scope())
        return made.token_id


def _then(act: Callable[[Place, Any], Any], undo: Callable[[Place, Any], Any], of: Callable[[Place], Any]) -> Any:
    """Do one thing before the action that is meant, to the same."""

    def run(place: Place) -> None:
        it = of(place)
        act(place, it)
        undo(place, it)

    return run


#: What calls each action, with arguments that make sense.
EXAMPLES: dict[str, Callable[[Place], Any]] = {
    "alerts.mute": lambda at: alerts.mute(at.desk, ROOT, "long wait", reason="known"),
    "alerts.test": lambda at: alerts.test(at.desk, ROOT),
    "alerts.unmute": _then(
        lambda at, it: alerts.mute(at.desk, ROOT, "long wait", it),
        lambda at, it: alerts.unmute(at.desk, ROOT, "long wait", it),
        Place.name,
    ),
    "backups.make": lambda at: backups.make(at.desk, ROOT, at.file(), str),
    "backups.restore": lambda at: at.restored(),
    "batches.cancel": lambda at: batches.cancel(at.desk, ROOT, at.batch(), "enough"),
    "batches.close": lambda at: batches.close(at.desk, ROOT, at.batch()),
    "batches.retry_failed": lambda at: batches.retry_failed(at.desk, ROOT, at.batch()),
    "bulk.cancel": lambda at: bulk.cancel(at.desk, ROOT, bulk.start(at.desk, ROOT, AT_ALL)),
    "bulk.start": lambda at: bulk.start(at.desk, ROOT, AT_ALL),
    "breakers.force": lambda at: breakers.force(at.desk, ROOT, [at.name()], "open"),
    "clusters.assign": lambda at: clusters.assign(at.desk, ROOT, at.cluster(), "ann"),
    "clusters.merge": lambda at: clusters.merge(at.desk, ROOT, at.cluster(), at.cluster()),
    "clusters.mute": lambda at: clusters.mute(at.desk, ROOT, at.cluster(), muted=True),
    "clusters.note": lambda at: clusters.note(at.desk, ROOT, at.cluster(), "look"),
    "clusters.reopen": _then(
        lambda at, it: clusters.resolve(at.desk, ROOT, it), lambda at, it: clusters.reopen(at.desk, ROOT, it),
        Place.cluster,
    ),
    "clusters.resolve": lambda at: clusters.resolve(at.desk, ROOT, at.cluster(), "mended"),
    "filters.remove": _then(
        lambda at, it: saved_filters.save(at.desk, ROOT, it, "state:failed"),
        lambda at, it: saved_filters.remove(at.desk, ROOT, it),
        Place.name,
    ),
    "filters.save": lambda at: saved_filters.save(at.desk, ROOT, at.name(), "state:failed"),
    "fleet.size": lambda at: fleet.set_size(at.desk, ROOT, 3, "a sale"),
    "jobs.cancel": lambda at: jobs.cancel(at.desk, ROOT, at.job(), "no"),
    "jobs.move": lambda at: jobs.move(at.desk, ROOT, at.job(), "mail", None),
    "jobs.pause": lambda at: jobs.pause(at.desk, ROOT, at.job(), HOLD),
    "jobs.resubmit": lambda at: resubmission.resubmit(
        at.desk, ROOT, at.cli.add("CANCELLED", job_type=NOTHING), None, []
    ),
    "jobs.resume": lambda at: jobs.resume(at.desk, ROOT, at.job("PAUSED")),
    "jobs.retry": lambda at: jobs.retry(at.desk, ROOT, at.job("RETRYING")),
    "jobs.submit": lambda at: submission.submit(at.desk, ROOT, Submission(NOTHING, [])),
    "jobs.submit_many": lambda at: submission.submit_many(
        at.desk, ROOT, [Submission(NOTHING, [])] * 2
    ),
    "keys.rotate": lambda at: keys.rotate(at.with_keys(), ROOT),
    "letters.edit": lambda at: letters.edit(
        at.desk, ROOT, (at.letter().dlq_ids or ())[0], None, [parse_setting("kwargs.x=1")]
    ),
    "letters.import": lambda at: letters.import_(at.desk, ROOT, io.BytesIO(b"")),
    "letters.replay": lambda at: replays.replay_now(at.desk, ROOT, at.letter()),
    "letters.resolve": lambda at: letters.resolve(at.desk, ROOT, at.letter(), "a test"),
    "limits.order": lambda at: limits.set_order(at.desk, ROOT, at.name(), True, None),
    "limits.remove": lambda at: limits.remove_limits(at.desk, ROOT, ["queue:q"]),
    "limits.set": lambda at: limits.set_limit(at.desk, ROOT, Limit("queue:q", 1)),
    "limits.weight": lambda at: limits.set_weight(at.desk, ROOT, at.name(), "acme", 2.0),
    "models.promote": lambda at: models.promote(at.desk, ROOT, job_type=at.name()),
    "models.retire": lambda at: models.retire(at.desk, ROOT, at.model()),
    "models.train": lambda at: at.trained(),
    "models.trial": lambda at: models.put_on_trial(at.desk, ROOT, at.name()),
    "plans.approve": lambda at: plans.approve(at.desk, ROOT, at.plan(), 1),
    "plans.refuse": lambda at: plans.refuse(at.desk, ROOT, at.plan()),
    "quarantine.discard": lambda at: quarantine.discard(at.desk, ROOT, [at.quarantined()]),
    "quarantine.replay": lambda at: quarantine.replay(at.desk, ROOT, Choice((at.quarantined(),))),
    "queues.pause": lambda at: queues.pause_queues(at.desk, ROOT, [at.name()], HOLD),
    "queues.resume": lambda at: queues.resume_queues(at.desk, ROOT, [at.name()]),
    "replays.cancel": lambda at: replays.cancel(at.desk, ROOT, at.replay()),
    "replays.pause": lambda at: replays.pause(at.desk, ROOT, at.replay(), "lunch"),
    "replays.resume": _then(
        lambda at, it: replays.pause(at.desk, ROOT, it), lambda at, it: replays.resume(at.desk, ROOT, it),
        Place.replay,
    ),
    "replays.start": lambda at: replays.start(at.desk, ROOT, at.letter(), Pace(rate=1.0)),
    "retention.prune": lambda at: retention.prune(at.desk, ROOT),
    "schedules.add": lambda at: schedule_edits.add(at.desk, ROOT, at.name(), "shop.report", "@daily", {}),
    "schedules.backfill": lambda at: schedule_edits.backfill(
        at.desk, ROOT, at.schedule(), at.desk.now() - timedelta(hours=3), at.desk.now()
    ),
    "schedules.change": lambda at: schedule_edits.change_schedule(at.desk, ROOT, at.schedule(), "@daily", {}),
    "schedules.pause": lambda at: schedules.pause(at.desk, ROOT, [at.schedule()], HOLD),
    "schedules.remove": lambda at: schedules.remove(at.desk, ROOT, [at.schedule()]),
    "schedules.resume": lambda at: schedules.resume(at.desk, ROOT, [at.schedule()]),
    "schedules.run": lambda at: schedules.run(at.desk, ROOT, [at.schedule()]),
    "tokens.add": lambda at: at.token(),
    "tokens.revoke": lambda at: people.revoke_token(at.desk, ROOT, at.token()),
    "types.pause": lambda at: queues.pause_types(at.desk, ROOT, [at.name()], HOLD),
    "types.resume": lambda at: queues.resume_types(at.desk, ROOT, [at.name()]),
    "users.add": lambda at: at.user(),
    "users.change": lambda at: people.change_user(at.desk, ROOT, at.user(), role="operator"),
    "workers.cordon": lambda at: workers.cordon(at.desk, ROOT, [at.worker()], "full"),
    "workers.drain": lambda at: workers.drain(at.desk, ROOT, [at.worker()], "full", 5.0),
    "workers.replace": lambda at: workers.replace(at.desk, ROOT, [at.worker()], "old"),
    "workers.uncordon": lambda at: workers.uncordon(at.desk, ROOT, [at.worker()], None),
}  # fmt: skip


def _nothing() -> None: ...


@pytest.fixture
def place(settings: Settings, cli_environment: CliEnvironment, client: Any, tmp_path: Path) -> Iterator[Place]:
    app = Celery("audited", set_as_current=False)
    jobplatform.attach(app, settings)
    app.task(name=NOTHING)(_nothing)
    desk = Desk(replace(settings, fleet="local"), cli_environment.database, lambda: client, lambda: app)
    made = Place(desk, cli_environment, tmp_path)
    yield made
    made.desk.database.close()
    app.jobplatform.close()
    app.close()


def last(place: Place) -> tuple[int, str, str, dict[str, Any]]:
    with place.desk.look() as session:
        rows = audit.listed(session, 1)
    return next(((row["audit_id"], row["actor"], row["action"], row["outcome"]) for row in rows), (0, "", "", {}))


def test_each_action_that_writes_has_an_example() -> None:
    assert sorted(EXAMPLES) == WRITING


@pytest.mark.owner
def test_each_action_that_writes_is_written_down_and_refused_to_who_may_nothing(place: Place) -> None:
    nobody = Actor("nobody", Via.PAGE, frozenset(), Scope(), "192.0.2.1")
    for name in WRITING:
        before, *_ = last(place)
        EXAMPLES[name](place)
        after, who, action, outcome = last(place)
        assert (after > before, who, action) == (True, "root", name)
        assert not isinstance(outcome.get("refused"), str)
    functions = {each.action.name: each for each in _functions()}
    assert sorted(functions) == sorted(ACTIONS)
    for name, function in functions.items():
        before, *_ = last(place)
        with pytest.raises(Forbidden):
            function(place.desk, nobody)
        after, who, action, outcome = last(place)
        assert (after - before, who, action) == (1, "nobody", name)
        assert outcome == {"refused": str(ACTIONS[name].permission)}


def _functions() -> list[Any]:
    """Give the functions of all actions, as their modules hold them."""
    modules = [
        importlib.import_module(f"jobplatform.actions.{each.name}")
        for each in pkgutil.iter_modules(jobplatform.actions.__path__)
    ]
    return [
        each
        for module in modules
        for each in vars(module).values()
        if isinstance(getattr(each, "action", None), Action)
    ]
