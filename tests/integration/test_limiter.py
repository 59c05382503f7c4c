"""Limits in rows, and what the controller makes of them in Redis."""

from __future__ import annotations

import time
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from queues import acquire, message

from jobplatform.limits import Limit
from jobplatform.maintenance.limiter import Limiter
from jobplatform.store import limits, workers
from jobplatform.store.database import Database
from jobplatform.transport import keys, replica
from jobplatform.transport.census import clock
from jobplatform.transport.publisher import Publisher

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def put(database: Database, *written: Limit) -> None:
    with database.transaction() as transaction:
        for each in written:
            limits.put(transaction, each)


def drop(database: Database, *names: str) -> None:
    with database.transaction() as transaction:
        assert limits.drop(transaction, names) == list(names)


@pytest.fixture
def limiter(database: Database, client: Any) -> Limiter:
    return Limiter(database, client, 15.0)


def test_limits_reach_redis_and_what_runs_holds_slots_at_once(
    limiter: Limiter, client: Any, publisher: Publisher
) -> None:
    assert not limiter.run_once(NOW)
    publisher.push_many([message(1), message(2)])
    assert len(acquire(client, 1)) == 1
    put(limiter.database, Limit(f"type:{message(1).job_type}", slots=1), Limit("key:tenant:*", rate=2.0))
    assert limiter.run_once(NOW) == {"written": 3}
    known = replica.read(client, keys.LIMITS)
    run = client.info("server")["run_id"]
    assert known == {f"type:{message(1).job_type}": "1 - -", "key:tenant:*": "- 2 2", "stale": "15", "": run}
    assert acquire(client, 1, "w:2:") == []
    assert not limiter.run_once(NOW)


def test_order_and_weights_reach_redis(limiter: Limiter, client: Any) -> None:
    with limiter.database.transaction() as transaction:
        limits.put_order(transaction, "mail", fair=True, age_seconds=60.0)
        limits.put_weight(transaction, "mail", 'an "odd" täname', 4.0)
    limiter.run_once(NOW)
    known = replica.read(client, keys.LIMITS)
    assert known["fair:mail"] == "1"
    assert known["age:mail"] == "60"
    assert known['weight:mail:an \\"odd\\" t\\u00e4name'] == "4"


def test_what_code_declares_comes_and_goes_and_does_not_replace_what_people_wrote(
    database: Database, client: Any
) -> None:
    put(database, Limit("type:b", slots=9))
    Limiter(database, client, 15.0, [Limit("type:a", slots=1), Limit("type:b", slots=1)]).run_once(NOW)
    with database.transaction() as transaction:
        rows = limits.list_limits(transaction)
    assert [(row["name"], row["slots"], row["declared"]) for row in rows] == [("type:a", 1, True), ("type:b", 9, False)]
    Limiter(database, client, 15.0).run_once(NOW)
    with database.transaction() as transaction:
        assert [row["name"] for row in limits.list_limits(transaction)] == ["type:b"]


def test_an_emptied_redis_is_told_when_every_worker_has_told_what_it_holds(limiter: Limiter, client: Any) -> None:
    put(limiter.database, Limit("queue:work", slots=1))
    limiter.run_once(NOW)
    said = {"pid": 1, "status": "alive", "started_at": time.time(), "last_seen_at": time.time(), "report": {}}
    with limiter.database.transaction() as transaction:
        workers.record(transaction, [{"worker_id": "a", "name": "a@host", **said}], NOW)
    client.flushall()
    assert limiter.run_once(NOW) == {"waiting": 1}
    client.hset(keys.WORKERS, "a", f"{clock(client):.6f} 0.000000 {{}}")
    assert limiter.run_once(NOW) == {"waiting": 1}
    client.hset(keys.WORKERS, "a", f"{clock(client):.6f} {clock(client):.6f} {{}}")
    # Whichever controller is there by then.
    assert Limiter(limiter.database, client, 15.0).run_once(NOW) == {"written": 2}


def test_a_redis_that_knows_all_leases_is_told_of_its_first_limit_at_once(limiter: Limiter, client: Any) -> None:
    assert not limiter.run_once(NOW)
    said = {"pid": 1, "status": "alive", "started_at": time.time(), "last_seen_at": time.time(), "report": {}}
    with limiter.database.transaction() as transaction:
        workers.record(transaction, [{"worker_id": "silent", "name": "silent@host", **said}], NOW)
    put(limiter.database, Limit("queue:work", slots=1))
    assert limiter.run_once(NOW) == {"written": 2}


def test_a_redis_that_was_started_again_may_not_know_all_leases(limiter: Limiter, client: Any) -> None:
    assert not limiter.run_once(NOW)
    client.set(keys.WHOLE, "another-run")
    said = {"pid": 1, "status": "alive", "started_at": time.time(), "last_seen_at": time.time(), "report": {}}
    with limiter.database.transaction() as transaction:
        workers.record(transaction, [{"worker_id": "silent", "name": "silent@host", **said}], NOW)
    put(limiter.database, Limit("queue:work", slots=1))
    assert limiter.run_once(NOW) == {"waiting": 1}


def test_slots_that_stand_for_nothing_are_found(limiter: Limiter, client: Any, publisher: Publisher) -> None:
    put(limiter.database, Limit("queue:work", slots=1))
    limiter.run_once(NOW)
    client.hset(keys.SLOTS, "gone:1:001", "1\x1fqueue:work")
    client.hset(keys.USED, "queue:work", 1)
    publisher.push(message(1))
    assert acquire(client, 1) == []
    found = sum((limiter.run_once(NOW) for _ in range(5)), Counter[str]())
    assert found == {"recounted": 1}
    assert len(acquire(client, 1, "w:2:")) == 1


def test_the_last_limit_goes_without_a_trace(limiter: Limiter, client: Any, publisher: Publisher) -> None:
    put(limiter.database, Limit("queue:work", slots=1))
    limiter.run_once(NOW)
    publisher.push_many([message(1), message(2)])
    assert len(acquire(client, 2)) == 1
    drop(limiter.database, "queue:work")
    limiter.run_once(NOW)
    assert len(acquire(client, 2, "w:2:", knows=True)) == 1
    for _ in range(12):
        limiter.run_once(NOW)
    assert not [name for name in client.keys("jp:*") if name.startswith((b"jp:li", b"jp:slo", b"jp:us", b"jp:lane"))]
