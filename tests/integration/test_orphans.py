"""Rows that nothing in Redis stands for, found and put right; and those that only look so, left alone."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from postgres_faults import locked

from jobplatform.jobs.retry import decide_all
from jobplatform.jobs.submission import message_of
from jobplatform.journal import entry
from jobplatform.journal.mirror import Mirror
from jobplatform.maintenance.dispatcher import Dispatcher
from jobplatform.maintenance.orphans import OrphanFinder
from jobplatform.maintenance.roster import Roster
from jobplatform.records import NewJob, new_job_id
from jobplatform.settings import Settings
from jobplatform.store import jobs, new_jobs
from jobplatform.store.database import UNREACHABLE, Database
from jobplatform.transport import keys
from jobplatform.transport.heart import Heart
from jobplatform.transport.ledger import Ledger
from jobplatform.transport.publisher import Publisher
from jobplatform.transport.scripts import ACQUIRE

GRACE = 10.0
QUEUE = "celery"


class Place:
    """The stores, with a finder, a dispatcher and a mirror that are run by hand."""

    def __init__(self, settings: Settings, database: Database, client: Any) -> None:
        self.database = database
        self.database_url = settings.database_url
        self.client = client
        self.publisher = Publisher(settings.redis_url, 5.0)
        self.finder = OrphanFinder(database, client, GRACE)
        self.roster = Roster(database, client, 15.0)
        self.dispatcher = Dispatcher(database, self.publisher, 1_000, 0.1)
        self.mirror = Mirror(client, database, decide_all, lambda seconds: None, batch=100, block_seconds=0.01)

    @property
    def now(self) -> datetime:
        return datetime.now(UTC)

    def new_job(self, priority: int = 1) -> NewJob:
        now = time.time()
        return NewJob(new_job_id(now), "t.job", '{"args":[],"kwargs":{}}', QUEUE, priority, enqueued_at=now)

    def submit(self, priority: int = 1, push: bool = True) -> NewJob:
        """Write a row, and its message unless it is to have none."""
        job = self.new_job(priority)
        with self.database.transaction() as transaction:
            new_jobs.insert_one(transaction, job)
        if push:
            self.publisher.push(message_of(job))
        return job

    def acquire(self, count: int = 1) -> list[tuple[str, bytes, bytes]]:
        """Take messages as a worker does."""
        lists = [keys.queue_list(QUEUE, step) for step in reversed(keys.PRIORITY_STEPS)]
        names = [keys.LEASES, keys.LEASE_TIMES, keys.JOURNAL, keys.FENCES, keys.COUNTS, keys.PAUSED, *lists]
        reply = ACQUIRE.run(self.client, names, [count, f"w:{time.monotonic_ns()}:", keys.SEPARATOR, 1_000])
        return [(tag.decode(), queue, raw) for tag, queue, raw in zip(*[iter(reply)] * 3, strict=True)]

    def held_by(self, count: int) -> Ledger:
        """Let a worker hold messages."""
        ledger = Ledger()
        for tag, queue, raw in self.acquire(count):
            ledger.hold(tag, queue.decode(), raw)
        return ledger

    def beat(self, ledger: Ledger) -> None:
        """Let a worker say that it lives, and the controller hear of it."""
        heart = Heart(ledger, self.client, 5.0, lambda: {"name": "w"}, lambda *_: None, lambda: self.commit(ledger))
        assert heart.beat()
        assert heart.beat()
        self.roster.run_once(self.now)

    def begin(self, ledger: Ledger, *jobs: NewJob) -> list[str]:
        """Let a worker begin the jobs that it holds; returns the journal entries that say so, which are mirrored."""
        texts = [entry.started(entry.attempt_head(job.job_id, 1, "w@host", 7, None, ""), time.time()) for job in jobs]
        for tag, text in zip(ledger.held, texts, strict=True):
            ledger.start(tag, lambda text=text: text)
        self.commit(ledger)
        self.read()
        return texts

    def commit(self, ledger: Ledger) -> None:
        assert ledger.commit(self.client, 30)

    def look(self, later: float = GRACE * 2) -> dict[str, int]:
        """Look for orphans once, as if some seconds later."""
        return dict(self.finder.run_once(self.now + timedelta(seconds=later)))

    def dispatch(self) -> list[str]:
        """Publish all that is due; returns the ids in the order in which they are handed out."""
        while self.dispatcher.run_once(self.now + timedelta(seconds=GRACE * 3)):
            pass
        return [json.loads(raw)["headers"]["id"] for _, _, raw in self.acquire(1_000)]

    def read(self) -> None:
        while self.mirror.run_once(self.now):
            pass

    def rows(self) -> dict[str, tuple[str, int, int]]:
        """Give status, attempt and retries by job id."""
        with self.database.session() as session:
            found = session.connection.exec_driver_sql(
                f'select job_id::text, status, attempt, retry_count from "{self.database.schema}".jobs'
            )
            return {job_id: (status, attempt, retries) for job_id, status, attempt, retries in found}


@pytest.fixture
def place(settings: Settings, database: Database, client: Any) -> Iterator[Place]:
    made = Place(settings, database, client)
    client.set(keys.CANARY, "seen")
    yield made
    made.publisher.close()


def test_a_row_without_a_message_is_found_and_published_once(place: Place) -> None:
    job = place.submit(push=False)
    assert place.look(0.0) == {}
    assert place.look(1.0) == {}, "within its grace a row is left alone"
    assert place.look() == {}
    assert place.look() == {"orphans": 1}
    assert place.dispatch() == [job.job_id]
    assert place.look() == place.look() == {}
    assert place.rows() == {job.job_id: ("PENDING", 2, 0)}


def test_rows_whose_message_waits_is_leased_or_is_settled_are_no_orphans(place: Place) -> None:
    settled, leased, waiting = place.submit(), place.submit(), place.submit()
    ledger = place.held_by(2)
    first, _ = ledger.held
    ledger.outcome(first, json.dumps({"v": 1, "k": "completed", "j": settled.job_id, "a": 1, "t": 1.0}))
    ledger.settle(first)
    place.commit(ledger)
    for _ in range(3):
        assert place.look() == {}, "an outcome that is not mirrored yet is waited for"
    place.read()
    assert place.look() == place.look() == {}
    states = place.rows()
    assert [states[job.job_id][0] for job in (settled, leased, waiting)] == ["COMPLETED", "PENDING", "PENDING"]


def test_a_row_that_was_published_between_two_looks_is_suspected_anew(place: Place) -> None:
    job = place.submit(push=False)
    place.look()
    # All is told, and then the second look fails and has to wait.
    with locked(place.database_url, f"{place.database.schema}.jobs"), pytest.raises(UNREACHABLE):
        place.look()
    with place.database.transaction() as transaction:
        jobs.mark_due(transaction, [job.job_id])
    place.dispatcher.run_once(place.now)
    ledger = place.held_by(1)
    (tag,) = ledger.held
    ledger.outcome(tag, json.dumps({"v": 1, "k": "completed", "j": job.job_id, "a": 1, "t": 1.0}))
    ledger.settle(tag)
    place.commit(ledger)
    assert place.look() == {}, "its outcome is not mirrored yet"
    place.read()
    assert place.look() == place.look() == {}
    assert place.rows() == {job.job_id: ("COMPLETED", 1, 0)}


@pytest.mark.parametrize("fraction", [0.1234565, 0.0681529, 0.9999996, 0.5000004])
def test_row_and_message_may_round_the_time_in_their_own_way(place: Place, fraction: float) -> None:
    job = replace(place.new_job(), enqueued_at=int(time.time()) - 100 + fraction)
    with place.database.transaction() as transaction:
        new_jobs.insert_one(transaction, job)
    place.publisher.push(replace(message_of(job), enqueued_at=(job.enqueued_at or 0) + 0.000001))
    assert place.look() == place.look() == {}


def test_the_message_of_a_client_that_was_too_slow_is_dropped(place: Place) -> None:
    job = place.submit(push=False)
    place.look()
    assert place.look() == {"orphans": 1}
    place.dispatcher.run_once(place.now + timedelta(seconds=GRACE * 3))
    place.publisher.push(message_of(job))
    (taken,) = place.acquire(10)
    assert json.loads(taken[2])["headers"]["jp_attempt"] == 2
    assert place.client.hget(keys.COUNTS, "dropped") == b"1"


def test_an_emptied_redis_is_filled_again_with_what_no_worker_holds_the_most_urgent_first(place: Place) -> None:
    jobs = [place.submit(priority) for priority in (1, 5, 3, 1, 5)]
    ledger = place.held_by(1)
    assert jobs[1].job_id.encode() in next(iter(ledger.held.values())).message
    place.beat(ledger)
    place.client.flushdb()
    assert place.look(0.0) == {}
    assert place.look(0.0) == {}, "a worker that lives has not told yet what it holds"
    place.beat(ledger)
    assert place.look(0.0) == {"orphans": 4}
    assert place.dispatch() == [jobs[index].job_id for index in (4, 2, 0, 3)]
    assert place.look(0.0) == {}
    assert place.client.exists(keys.CANARY)
    assert place.rows()[jobs[1].job_id] == ("PENDING", 1, 0)


def test_a_dead_worker_is_not_waited_for(place: Place) -> None:
    place.submit()
    ledger = place.held_by(1)
    place.beat(ledger)
    place.client.flushdb()
    assert place.look(0.0) == place.look(0.0) == {}
    with place.database.transaction() as transaction:
        transaction.connection.exec_driver_sql(
            f"update \"{place.database.schema}\".workers set last_seen_at = now() - interval '1 minute'"
        )
    place.roster.run_once(place.now)
    assert place.look(0.0) == {"orphans": 1}


def test_a_running_row_that_no_worker_holds_is_journalled_as_lost(place: Place) -> None:
    held, dropped = place.submit(), place.submit()
    ledger = place.held_by(2)
    place.begin(ledger, held, dropped)
    assert place.look() == place.look() == {}
    _, tag = ledger.held
    place.client.hdel(keys.LEASES, tag)
    place.client.hdel(keys.STARTS, tag)
    assert place.look() == {}
    assert place.look() == {"abandoned": 1}
    place.read()
    states = place.rows()
    assert (states[held.job_id], states[dropped.job_id]) == (("PROCESSING", 1, 0), ("PENDING", 2, 0))
    waiting = place.submit()
    assert place.dispatch() == [dropped.job_id, waiting.job_id], "it has waited for its turn before"


def test_a_running_job_that_was_given_back_and_waits_is_not_lost(place: Place) -> None:
    job = place.submit()
    ledger = place.held_by(1)
    (tag,) = ledger.held
    place.begin(ledger, job)
    ledger.give_back([tag])
    place.commit(ledger)
    assert place.look() == place.look() == {}
    assert [json.loads(raw)["headers"]["jp_attempt"] for _, _, raw in place.acquire(10)] == [1]


def test_what_a_redis_was_told_that_is_emptied_once_more_counts_no_longer(place: Place) -> None:
    job = place.submit()
    ledger = place.held_by(1)
    (text,) = place.begin(ledger, job)
    place.beat(ledger)
    place.client.flushdb()
    assert place.look() == {}
    place.beat(ledger)
    place.client.xadd(keys.JOURNAL, {"e1": text})
    assert place.look() == {}, "the journal is not mirrored yet"
    place.client.flushdb()
    assert place.look() == {}
    place.beat(ledger)
    place.read()
    assert place.look() == place.look() == {}
    assert place.rows()[job.job_id] == ("PROCESSING", 1, 0)
