"""Workers and queues sampled and judged, out of the heartbeats in Redis, into rows and onto the command line."""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from command_line import CliEnvironment
from queues import QUEUE, acquire, message

from jobplatform.maintenance.roster import Roster
from jobplatform.store import samples, verdicts
from jobplatform.store.database import Database
from jobplatform.transport import census, keys
from jobplatform.transport.publisher import Publisher
from jobplatform.transport.scripts import PUT_BACK
from jobplatform.workers.judge import Judge
from jobplatform.workers.sample import Process, sample_of_row
from jobplatform.workers.sample_pruner import SamplePruner
from jobplatform.workers.sampler import Sampler
from jobplatform.workers.watch import Watch

BEAT = 5.0
MIB = 1024 * 1024


@pytest.fixture
def watch(client: Any) -> Watch:
    made = Watch(client, BEAT)
    made.look()
    # It has listened for long.
    made.heard_since = 0.0
    return made


def beat(client: Any, node: str, ago: float = 0.0, **said: Any) -> None:
    """Let a worker have said something some seconds ago."""
    report = {"name": f"{node}@host", "pid": 1, "queues": [QUEUE], "slots": 2, "duty": "work", "loop_wait": 0.0, **said}
    report.setdefault("processes", [{"pid": 1, "rss": 50 * MIB, "cpu": 1.0}])
    client.hset(keys.WORKERS, node, f"{census.clock(client) - ago:.6f} 0 {json.dumps(report)}")


def rows(database: Database, sql: str) -> list[dict[str, Any]]:
    with database.session() as session:
        text = sql.replace("@", f"{session.schema}.")
        return [dict(row) for row in session.connection.exec_driver_sql(text).mappings()]


def now() -> datetime:
    return datetime.now(UTC)


def heard(watch: Watch, node: str, count: int, step: float, **series: Any) -> None:
    """Let a worker have beaten so often, some seconds apart; each value is a list, one for each beat."""
    for number in range(count):
        beat(watch.client, node, (count - 1 - number) * step, **{name: each[number] for name, each in series.items()})
        watch.look()
    watch.heard_since = 0.0


def test_workers_and_queues_become_rows(database: Database, watch: Watch, publisher: Publisher, client: Any) -> None:
    sampler = Sampler(database, watch, 30.0)
    beat(client, "a", 1.0, deeds=[[QUEUE, "t.job", 5, 4, 1]], active=1)
    sampler.run_once(now())
    assert rows(database, "select * from @queue_samples") == []
    for number in range(7):
        publisher.push(message(number, 1 + number % 5))
    taken = acquire(client, 3)
    client.delete(keys.LEASES, keys.LEASE_TIMES)
    PUT_BACK.run(client, [taken[0][1]], [json.dumps(taken[0][2])])
    running = [{"job_id": "0", "type": "t.job", "queue": QUEUE, "attempt": 1, "pid": 2, "since": 1.0}]
    processes = [{"pid": 1, "rss": 50 * MIB, "cpu": 1.5}, {"pid": 2, "rss": 30 * MIB, "cpu": 0.25}]
    deeds = [[QUEUE, "t.job", 8, 6, 1], [QUEUE, "t.other", 1, 1, 1]]
    beat(client, "a", 0.0, deeds=deeds, active=2, running=running, processes=processes, memory_left=9, memory_limit=10)
    sampler.run_once(now())
    (queue,) = rows(database, "select * from @queue_samples")
    known = {"queue": QUEUE, "depth": 5, "arrived": 7, "started": 4, "finished": 3, "running": 1}
    assert {name: queue[name] for name in known} == known
    assert queue["work_seconds"] is None
    first, second = rows(database, "select * from @worker_samples order by sampled_at")
    assert (second["rss"], second["tree_rss"], second["memory_left"]) == (50 * MIB, 80 * MIB, 9)
    assert (second["started"], second["finished"], second["failed"]) == (9, 7, 2)
    assert second["cpu"] == pytest.approx(0.75 / second["seconds"], rel=0.01)
    assert first["started"] == 5
    sampler.run_once(now())
    assert len(rows(database, "select * from @worker_samples")) == 2
    with database.session() as session:
        found = samples.last_of_workers(session, ["a"], now() - timedelta(hours=1), 10)["a"]
    assert sample_of_row(found[-1]).processes == (Process(1, 50 * MIB, 1.5), Process(2, 30 * MIB, 0.25))


def test_a_redis_that_was_emptied_makes_no_arrivals(
    database: Database, watch: Watch, publisher: Publisher, client: Any
) -> None:
    sampler = Sampler(database, watch, 30.0, [QUEUE])
    for number in range(7):
        publisher.push(message(number))
    sampler.run_once(now())
    acquire(client, 3)
    client.flushdb()
    beat(client, "a")
    publisher.push(message(1))
    sampler.run_once(now())
    (queue,) = rows(database, "select * from @queue_samples")
    assert (queue["depth"], queue["arrived"]) == (1, 0)


def test_predicted_work_is_that_of_all_that_waits(
    database: Database, watch: Watch, client: Any, cli_environment: CliEnvironment, publisher: Publisher
) -> None:
    sampler = Sampler(database, watch, 30.0, [QUEUE])
    sampler.run_once(now())
    for number in range(4):
        publisher.push(message(number))
    for seconds in (2.0, 4.0):
        with database.transaction() as transaction:
            transaction.connection.exec_driver_sql(
                f"insert into {transaction.schema}.jobs (job_id, job_type, status, queue, payload, predicted_p50) "
                f"values (gen_random_uuid(), 't', 'PENDING', '{QUEUE}', '{{}}', {seconds})"
            )
    sampler.run_once(now())
    (queue,) = rows(database, "select * from @queue_samples")
    assert queue["work_seconds"] == pytest.approx(12.0)


def test_a_worker_that_falls_silent_is_told_of_once_and_again_when_it_speaks(
    database: Database, watch: Watch, client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    judge = Judge(database, watch, 100)
    beat(client, "a", 1.0)
    beat(client, "b", 1.0)
    Roster(database, client, 15.0).run_once(now())
    judge.run_once(now())
    beat(client, "a", 30.0)
    watch._histories.pop("a")
    with caplog.at_level(logging.INFO):
        judge.run_once(now())
        judge.run_once(now())
    (told,) = [record.getMessage() for record in caplog.records if "worker a@host" in record.getMessage()]
    assert told.startswith("worker a@host is failing (95 % sure): nothing was heard of it for 30 s")
    found = rows(database, "select * from @verdicts where worker_id = 'a' order by judged_at")
    # The second verdict in a row is one that counts.
    assert [(row["verdict"], row["features"]["in_a_row"]) for row in found] == [
        *(("healthy", 0), ("failing", 1), ("failing", 2)),
    ]
    (worker,) = rows(database, "select * from @workers where worker_id = 'a'")
    assert (worker["verdict"], worker["confidence"]) == ("failing", pytest.approx(0.95))
    assert "heartbeats" in worker["verdict_reason"]
    # A controller that follows knows what was told.
    caplog.clear()
    other = Judge(database, watch, 100)
    other.run_once(now())
    assert not [record for record in caplog.records if "a@host" in record.getMessage()]
    beat(client, "a")
    with caplog.at_level(logging.INFO):
        other.run_once(now())
    assert any("worker a@host is healthy again" in record.getMessage() for record in caplog.records)


def test_who_takes_nothing_while_messages_wait_is_frozen_but_not_while_the_queue_is_paused(
    database: Database, watch: Watch, client: Any, publisher: Publisher
) -> None:
    publisher.push(message(1))
    heard(watch, "a", 10, 4.0)
    judge = Judge(database, watch, 100)
    client.hset(keys.PAUSED, f"queue:{QUEUE}", "x")
    judge.run_once(now())
    assert Counter(row["verdict"] for row in rows(database, "select * from @verdicts")) == {"healthy": 1}
    client.delete(keys.PAUSED)
    judge.run_once(now())
    found = rows(database, "select * from @verdicts order by judged_at desc limit 1")[0]
    assert (found["verdict"], found["features"]["rule"]) == ("failing", "frozen")
    assert f"1 wait in {QUEUE}" in found["reason"]


def test_what_rows_tell_of_a_worker_counts_for_a_new_controller(database: Database, watch: Watch, client: Any) -> None:
    clock = census.clock(client)
    grown = [
        {
            **dict.fromkeys(("cpu", "started", "finished", "failed", "active", "waiting"), 0),
            "worker_id": "a",
            "sampled_at": clock - 30.0 * (30 - number),
            "seconds": 30.0,
            "slots": 2,
            "rss": MIB,
            "tree_rss": (60 + 10 * number) * MIB,
            "memory_left": (340 - 10 * number) * MIB,
            "memory_limit": 400 * MIB,
            "processes": [{"pid": 1, "rss": (60 + 10 * number) * MIB, "cpu": 1.0}],
        }
        for number in range(30)
    ]
    with database.transaction() as transaction:
        assert samples.add_workers(transaction, grown) == 30
    for ago in (8.0, 4.0, 0.0):
        said = {"memory_left": 41 * MIB, "memory_limit": 400 * MIB}
        beat(client, "a", ago, processes=[{"pid": 1, "rss": 359 * MIB, "cpu": 1.0}], **said)
        watch.look()
    Judge(database, watch, 100).run_once(now())
    (found,) = rows(database, "select * from @verdicts")
    assert (found["verdict"], found["features"]["rule"]) == ("failing", "memory")
    assert "its memory grows by 20 MiB a minute" in found["reason"]


def test_old_samples_and_verdicts_are_deleted_batch_by_batch(database: Database) -> None:
    old, new = time.time() - 3 * 86_400, time.time()
    with database.transaction() as transaction:
        for at in (old, old + 1, old + 2, new):
            values = dict.fromkeys(("seconds", "cpu", "rss", "tree_rss", "slots", "active", "waiting"), 1)
            values |= dict.fromkeys(("started", "finished", "failed"), 0)
            samples.add_workers(transaction, [{**values, "worker_id": "a", "sampled_at": at, "processes": []}])
            moment = datetime.fromtimestamp(at, UTC)
            counts = dict.fromkeys(("seconds", "depth", "arrived", "started", "finished", "running"), 1)
            samples.add_queues(transaction, [{**counts, "queue": "q"}], moment)
            said = {"worker_id": "a", "verdict": "healthy", "confidence": 1, "reason": "x", "decided_by": "rules"}
            verdicts.add(transaction, [{**said, "features": {}}], moment)
    pruner = SamplePruner(database, 1.0, batch=2)
    assert pruner.run_once(now()) == {"worker_samples": 2, "queue_samples": 2, "verdicts": 2}
    assert pruner.run_once(now()) == {"worker_samples": 1, "queue_samples": 1, "verdicts": 1}
    assert not pruner.run_once(now())


def test_the_command_line_shows_verdicts_reasons_and_the_trend(
    cli_environment: CliEnvironment, database: Database, watch: Watch, client: Any
) -> None:
    sampler, judge = Sampler(database, watch, 30.0), Judge(database, watch, 100)
    beat(client, "a", 2.0, memory_left=100 * MIB, memory_limit=150 * MIB)
    Roster(database, client, 15.0).run_once(now())
    sampler.run_once(now())
    judge.run_once(now())
    found = cli_environment.json("workers", "health")
    assert [(row["name"], row["verdict"], row["grows"]) for row in found["workers"]] == [("a@host", "healthy", None)]
    shown = cli_environment.run("workers", "health", "a@host")
    assert shown.exit_code == 0
    for words in ("samples say little yet", "what was thought of it", "its last samples", "50 MiB", "100 MiB"):
        assert words in shown.output
    assert cli_environment.run("workers", "health", "nobody").exit_code != 0
    assert cli_environment.json("workers", "hungry") == []


def test_the_same_sample_confirms_nothing(database: Database, watch: Watch, client: Any) -> None:
    grown = [[{"pid": 1, "rss": (100 + 10 * number) * MIB, "cpu": 1.0}] for number in range(12)]
    left = [(200 - 10 * number) * MIB for number in range(12)]
    heard(watch, "a", 12, 5.0, processes=grown, memory_left=left, memory_limit=[300 * MIB] * 12)
    judge = Judge(database, watch, 100)
    for _ in range(3):
        judge.run_once(now())
    found = rows(database, "select * from @verdicts where worker_id = 'a'")
    assert [(row["verdict"], row["features"]["in_a_row"]) for row in found] == [("failing", 1)]
    beat(client, "a", processes=[{"pid": 1, "rss": 220 * MIB, "cpu": 1.0}], memory_left=80 * MIB)
    judge.run_once(now())
    found = rows(database, "select * from @verdicts where worker_id = 'a' order by judged_at")
    assert [row["features"]["in_a_row"] for row in found] == [1, 2]
