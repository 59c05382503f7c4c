"""A Redis without room: jobs that it holds are settled, others wait in their rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
import redis
from queues import QUEUE, acquire, journal, message, places

from jobplatform.maintenance.dispatcher import Dispatcher
from jobplatform.records import NewJob, new_job_id
from jobplatform.store import jobs, new_jobs
from jobplatform.store.database import Database
from jobplatform.transport import keys
from jobplatform.transport.ledger import Ledger
from jobplatform.transport.publisher import MaybePushed, Publisher
from jobplatform.transport.rescue import rescue


@contextmanager
def limited(client: Any, most: int) -> Iterator[None]:
    """Let Redis use no more than so many bytes."""
    before = client.config_get("maxmemory*")
    client.config_set("maxmemory-policy", "noeviction")
    client.config_set("maxmemory", most)
    try:
        yield
    finally:
        for name in ("maxmemory", "maxmemory-policy"):
            client.config_set(name, before[name])


def test_a_full_redis_takes_what_is_settled_and_no_more_messages(publisher: Publisher, client: Any) -> None:
    publisher.push_many([message(1), message(2), message(3)])
    ledger = Ledger()
    with limited(client, 1):
        assert not publisher.has_room()
        with pytest.raises(redis.RedisError):
            publisher.push(message(4))
        with pytest.raises(redis.OutOfMemoryError):
            publisher.push_many([message(5)])
        (first, *_), (second, *_), _ = taken = acquire(client, 3)
        for tag, queue, _ in taken:
            ledger.hold(tag, queue, b"{}")
        ledger.start(first, lambda: "started")
        ledger.note("a note")
        assert ledger.commit(client, 30)
        ledger.outcome(first, "ended", "result", "1")
        ledger.settle(first)
        ledger.give_back([second])
        assert ledger.commit(client, 30)
        assert rescue(client, 0, 10, watched=0).returned == 1
    assert publisher.has_room()
    assert [text for _, text in journal(client)] == ["a note", "started", "ended"]
    assert places(client) == (2, 0, 2)


def test_a_push_that_is_refused_in_part_may_have_been_taken(publisher: Publisher, client: Any) -> None:
    client.set(keys.queue_list(QUEUE, 5), "no list")
    with pytest.raises(MaybePushed):
        publisher.push_many([message(1, 1), message(2, 5)])
    assert client.llen(QUEUE) == 1


def test_due_jobs_wait_while_redis_fills_up_and_cancelled_ones_are_made_void_all_the_same(
    publisher: Publisher, client: Any, database: Database
) -> None:
    due, cancelled = (
        NewJob(new_job_id(), "t.job", '{"args":[],"kwargs":{}}', QUEUE, due_at=1.0, enqueued_at=1.0) for _ in range(2)
    )
    with database.transaction() as transaction:
        for job in (due, cancelled):
            new_jobs.insert_one(transaction, job)
        jobs.cancel(transaction, [cancelled.job_id], "not wanted")
    dispatcher = Dispatcher(database, publisher, 10, 0.1)
    with limited(client, int(client.info("memory")["used_memory"] / 0.8)):
        assert dispatcher.run_once(datetime.now(UTC)) == {"voided": 1}
        assert dispatcher.run_once(datetime.now(UTC)) == {}
    assert client.hkeys(keys.FENCES) == [cancelled.job_id.encode()]
    assert places(client)[0] == 0
    assert dispatcher.run_once(datetime.now(UTC)) == {"published": 1}
    assert places(client)[0] == 1
