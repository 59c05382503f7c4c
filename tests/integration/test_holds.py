"""Jobs, queues and job types that are paused, and jobs that are moved: rows, fences, and who hands out messages."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from command_line import CliEnvironment
from queues import QUEUE, acquire, message, places

from jobplatform.jobs.retry import decide_all
from jobplatform.journal import entry
from jobplatform.journal.entry import Kind
from jobplatform.journal.mirror import Mirror
from jobplatform.maintenance.dispatcher import Dispatcher
from jobplatform.maintenance.pauser import Pauser
from jobplatform.maintenance.releaser import Releaser
from jobplatform.store import holds, pauses
from jobplatform.store.database import Database
from jobplatform.store.pauses import Hold, Scope
from jobplatform.transport import keys
from jobplatform.transport.heart import Heart
from jobplatform.transport.ledger import Ledger
from jobplatform.transport.publisher import Publisher

HOLD = Hold("the printer is broken", "ann")


class Place:
    """A schema and an empty Redis, with the services that have to do with holds, run by hand."""

    def __init__(self, cli: CliEnvironment, client: Any, publisher: Publisher) -> None:
        self.cli = cli
        self.database: Database = cli.database
        self.client = client
        self.dispatcher = Dispatcher(self.database, publisher, 100, 0.1, again_after=6.0)
        self.pauser = Pauser(self.database, client)
        self.mirror = Mirror(client, self.database, decide_all, lambda seconds: None, batch=100, block_seconds=0.01)

    def dispatch(self, seconds: float = 0.1) -> dict[str, int]:
        """Let the dispatcher look, so many seconds from now."""
        return dict(self.dispatcher.run_once(datetime.now(UTC) + timedelta(seconds=seconds)))

    def pause(self, *job_ids: str, until: datetime | None = None) -> dict[str, str]:
        with self.database.transaction() as transaction:
            found = holds.pause(transaction, job_ids, Hold(HOLD.reason, HOLD.by, until))
        return {job_id: str(state) for job_id, state in found.items()}

    def resume(self, *job_ids: str) -> dict[str, str]:
        with self.database.transaction() as transaction:
            return {job_id: str(state) for job_id, state in holds.resume(transaction, job_ids).items()}

    def pause_all(self, scope: Scope, name: str, hold: Hold = HOLD) -> None:
        with self.database.transaction() as transaction:
            pauses.pause(transaction, scope, name, hold)
        self.pauser.run_once(datetime.now(UTC))

    def resume_all(self, scope: Scope, name: str) -> None:
        with self.database.transaction() as transaction:
            assert pauses.resume(transaction, scope, [name]) == [name]
        self.pauser.run_once(datetime.now(UTC))

    def row(self, job_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.cli.json("jobs", "show", job_id)
        return found

    def told(self, kind: Kind, job_id: str, attempt: int, **error: Any) -> None:
        """Journal what became of an attempt, and mirror it."""
        head = entry.attempt_head(job_id, attempt, "w1", 1, None, "")
        now = time.time()
        text = entry.started(head, now) if kind is Kind.STARTED else entry.ended(kind, head, now, now, error)
        self.client.xadd(keys.JOURNAL, {"e1": text})
        self.mirror.run_once(datetime.now(UTC))

    def fence(self, job_id: str) -> float:
        return float(self.client.hget(keys.FENCES, job_id) or 0)


@pytest.fixture
def place(cli_environment: CliEnvironment, client: Any, publisher: Publisher) -> Iterator[Place]:
    yield Place(cli_environment, client, publisher)


def of(row: dict[str, Any], *names: str) -> tuple[Any, ...]:
    return tuple(row[name] for name in names)


def test_a_waiting_job_is_held_and_goes_on_as_its_next_attempt(place: Place) -> None:
    job_id = place.cli.add()
    assert place.pause(job_id) == {job_id: "PENDING"}
    shown = of(place.row(job_id), "status", "attempt", "hold_reason", "hold_by", "hold_until")
    assert shown == ("PAUSED", 1, HOLD.reason, HOLD.by, None)
    assert place.dispatch() == {"held": 1}
    assert place.fence(job_id) == 1.75
    assert place.resume(job_id) == {job_id: "PAUSED"}
    assert of(place.row(job_id), "status", "attempt", "retry_count", "hold_by") == ("PENDING", 2, 0, None)
    assert place.dispatch() == {"published": 1}
    assert place.fence(job_id) == 2.0


def test_redis_is_told_twice_of_a_hold_and_of_a_cancellation(place: Place) -> None:
    held, void = place.cli.add(), place.cli.add()
    place.pause(held)
    place.cli.json("jobs", "cancel", void)
    assert place.dispatch() == {"held": 1, "voided": 1}
    place.client.flushdb()
    assert place.dispatch(3.0) == {}
    # So long after the hold it was told of is what the first time was for.
    with place.database.session() as session:
        session.connection.exec_driver_sql(
            f"update {place.database.schema}.jobs set updated_at = updated_at - interval '10 s'"
        )
    assert place.dispatch(7.0) == {"held": 1, "voided": 1}
    assert (place.fence(held), place.fence(void)) == (1.75, 2.0)
    assert place.dispatch(60.0) == {}


def test_a_hold_ends_by_itself_when_its_time_has_come(place: Place) -> None:
    job_id = place.cli.add()
    place.pause(job_id, until=datetime.now(UTC) + timedelta(minutes=5))
    assert place.dispatch() == {"held": 1}
    assert place.dispatch(299.0) == {"held": 1}
    assert place.row(job_id)["status"] == "PAUSED"
    assert place.dispatch(301.0) == {"published": 1}
    assert of(place.row(job_id), "status", "attempt", "hold_until") == ("PENDING", 2, None)


def test_a_scheduled_job_that_is_resumed_keeps_its_time(place: Place) -> None:
    later = time.time() + 3600
    job_id = place.cli.add("SCHEDULED", scheduled_at=later, due_at=later)
    assert place.pause(job_id) == {job_id: "SCHEDULED"}
    assert place.dispatch(7200.0) == {}
    assert place.resume(job_id) == {job_id: "PAUSED"}
    assert place.row(job_id)["status"] == "SCHEDULED"
    assert place.dispatch(10.0) == {}
    assert place.dispatch(3601.0) == {"published": 1}


def test_a_retry_that_is_paused_counts_as_begun(place: Place) -> None:
    job_id = place.cli.add("RETRYING", due_at=time.time() + 600)
    assert place.pause(job_id) == {job_id: "RETRYING"}
    assert of(place.row(job_id), "status", "attempt", "retry_count", "due_at") == ("PAUSED", 2, 1, None)
    place.resume(job_id)
    assert place.dispatch() == {"published": 1}
    assert of(place.row(job_id), "status", "attempt", "retry_count") == ("PENDING", 3, 1)


def test_a_running_job_is_asked_and_paused_when_it_stops(place: Place) -> None:
    job_id = place.cli.add()
    place.told(Kind.STARTED, job_id, 1)
    assert place.pause(job_id) == {job_id: "PROCESSING"}
    assert place.dispatch() == {"held": 1}
    assert of(place.row(job_id), "status", "hold_by") == ("PROCESSING", "ann")
    assert place.fence(job_id) == 1.75
    place.told(Kind.FAILED, job_id, 1, type="Interrupted", message="stopped", classes=[], interrupted=True)
    assert of(place.row(job_id), "status", "attempt", "hold_by") == ("PENDING", 2, "ann")
    assert place.dispatch() == {}
    shown = of(place.row(job_id), "status", "attempt", "retry_count", "hold_reason")
    assert shown == ("PAUSED", 2, 0, HOLD.reason)
    place.resume(job_id)
    assert place.dispatch() == {"published": 1}
    assert of(place.row(job_id), "status", "attempt", "retry_count") == ("PENDING", 3, 0)


@pytest.mark.parametrize("told_before", [True, False])
def test_a_job_that_had_begun_unseen_when_it_was_paused_is_paused_when_it_stops(
    place: Place, told_before: bool
) -> None:
    job_id = place.cli.add()
    assert place.pause(job_id) == {job_id: "PENDING"}, "what it began is not mirrored yet"
    if told_before:
        assert place.dispatch() == {"held": 1}
    place.told(Kind.STARTED, job_id, 1)
    assert of(place.row(job_id), "status", "hold_by", "hold_reason") == ("PROCESSING", "ann", HOLD.reason)
    assert place.dispatch() == {"held": 1}
    assert place.fence(job_id) == 1.75
    place.told(Kind.FAILED, job_id, 1, type="Interrupted", message="stopped", classes=[], interrupted=True)
    assert place.dispatch() == {}
    assert of(place.row(job_id), "status", "attempt", "hold_by") == ("PAUSED", 2, "ann")
    place.resume(job_id)
    assert place.dispatch() == {"published": 1}


def test_a_running_job_that_is_resumed_before_it_stopped_goes_on(place: Place) -> None:
    job_id = place.cli.add()
    place.told(Kind.STARTED, job_id, 1)
    place.pause(job_id)
    place.dispatch()
    assert place.resume(job_id) == {job_id: "PROCESSING"}
    assert place.dispatch() == {"released": 1}
    assert place.fence(job_id) == 1.0
    assert of(place.row(job_id), "status", "attempt", "hold_by") == ("PROCESSING", 1, None)


def test_a_running_job_whose_hold_ends_before_it_stopped_goes_on(place: Place) -> None:
    job_id = place.cli.add()
    place.told(Kind.STARTED, job_id, 1)
    place.pause(job_id, until=datetime.now(UTC) + timedelta(seconds=3))
    assert place.dispatch() == {"held": 1}
    assert place.dispatch(4.0) == {"released": 1}
    assert place.fence(job_id) == 1.0
    assert of(place.row(job_id), "status", "hold_by") == ("PROCESSING", None)


def test_a_job_that_was_asked_to_pause_and_failed_is_held_before_its_retry(place: Place) -> None:
    job_id = place.cli.add()
    place.told(Kind.STARTED, job_id, 1)
    place.pause(job_id)
    place.dispatch()
    place.told(Kind.FAILED, job_id, 1, type="ValueError", message="no", classes=["ValueError"])
    assert of(place.row(job_id), "status", "hold_by") == ("RETRYING", "ann")
    place.dispatch(4000.0)
    assert of(place.row(job_id), "status", "attempt", "retry_count") == ("PAUSED", 2, 1)


def test_a_job_that_ends_although_it_was_asked_to_pause_is_held_no_more(place: Place) -> None:
    job_id = place.cli.add()
    place.told(Kind.STARTED, job_id, 1)
    place.pause(job_id)
    head = entry.attempt_head(job_id, 1, "w1", 1, None, "")
    place.client.xadd(keys.JOURNAL, {"e1": entry.completed(head, 1.0, 2.0, "7")})
    place.mirror.run_once(datetime.now(UTC))
    assert of(place.row(job_id), "status", "hold_by", "hold_reason") == ("COMPLETED", None, None)


def test_a_moved_job_is_published_where_it_is_moved_to(place: Place) -> None:
    waiting, due, ended = place.cli.add(), place.cli.add("SCHEDULED", due_at=time.time() + 60), place.cli.add()
    place.cli.json("jobs", "cancel", ended)
    with place.database.transaction() as transaction:
        moved = holds.move(transaction, [waiting, due, ended], "reports", 5)
        assert holds.move(transaction, [waiting], "reports", None) == {}
    assert moved == {waiting: "PENDING", due: "SCHEDULED"}
    assert place.dispatch() == {"published": 1, "voided": 1}
    assert place.fence(waiting) == 2.0
    (raw,) = place.client.lrange(keys.queue_list("reports", 5), 0, -1)
    assert json.loads(raw)["headers"]["id"] == waiting
    assert of(place.row(due), "status", "attempt", "queue", "priority") == ("SCHEDULED", 1, "reports", 5)


def test_what_jobs_have_submitted_is_cancelled_with_them(place: Place) -> None:
    root = place.cli.add()
    child = place.cli.add(root_id=root, parent_id=root)
    grandchild = place.cli.add(root_id=root, parent_id=child)
    other = place.cli.add(root_id=root)
    done = place.cli.json("jobs", "cancel", root, "--cascade")
    assert {row["job_id"]: row["outcome"] for row in done} == dict.fromkeys([root, child, grandchild], "cancelled")
    assert place.row(other)["status"] == "PENDING"


def test_a_paused_queue_hands_out_nothing_and_others_do(place: Place, publisher: Publisher) -> None:
    publisher.push_many([message(1), message(2, 5)])
    place.pause_all(Scope.QUEUE, QUEUE)
    assert acquire(place.client, 10) == []
    place.pause_all(Scope.QUEUE, "others")
    place.resume_all(Scope.QUEUE, QUEUE)
    assert [body["headers"]["id"][-1] for _, _, body in acquire(place.client, 10)] == ["2", "1"]


def test_a_redis_that_lost_its_memory_is_told_again_what_is_paused(place: Place, publisher: Publisher) -> None:
    place.pause_all(Scope.QUEUE, QUEUE)
    place.client.flushdb()
    place.pauser.run_once(datetime.now(UTC))
    publisher.push(message(1))
    assert acquire(place.client, 10) == []


def test_a_pause_ends_by_itself_and_rings_the_bell(place: Place) -> None:
    place.pause_all(Scope.QUEUE, QUEUE, Hold("lunch", "ann", datetime.now(UTC) + timedelta(hours=1)))
    assert place.pauser.run_once(datetime.now(UTC)) == {}
    with place.database.session() as session:
        session.connection.exec_driver_sql(f"update {place.database.schema}.pauses set paused_until = now()")
    assert place.pauser.run_once(datetime.now(UTC)) == {"resumed": 1}
    assert not place.client.exists(keys.PAUSED)
    assert place.client.llen(keys.bell(QUEUE)) == 1


def test_messages_of_a_paused_type_are_leased_to_be_parked(place: Place, publisher: Publisher) -> None:
    publisher.push_many([message(1), message(2)])
    place.pause_all(Scope.TYPE, "t.job")
    tags = [tag for tag, _, _ in acquire(place.client, 10)]
    assert [tag[-1] for tag in tags] == ["p", "p"]
    assert place.client.hlen(keys.LEASES) == 2
    place.resume_all(Scope.TYPE, "t.job")
    publisher.push(message(3))
    assert [tag[-1] for tag, _, _ in acquire(place.client, 10, "w:2:")] == ["1"]


def test_due_jobs_of_a_paused_type_are_parked_and_released_when_it_is_resumed(place: Place) -> None:
    job_id = place.cli.add("SCHEDULED", job_type="shop.charge", due_at=time.time() - 1)
    place.pause_all(Scope.TYPE, "shop.charge")
    assert place.dispatch() == {}
    row = place.row(job_id)
    assert of(row, "status", "hold_by", "retry_count") == ("PAUSED", "platform", 0)
    assert "paused" in row["hold_reason"]
    releaser, later = Releaser(place.database, ask_workers=False), datetime.now(UTC) + timedelta(seconds=30)
    assert releaser.run_once(later) == {}
    place.resume_all(Scope.TYPE, "shop.charge")
    assert releaser.run_once(later) == {"released": 1}
    assert place.dispatch(31.0) == {"published": 1}


@pytest.mark.parametrize("scope, name", [(Scope.QUEUE, QUEUE), (Scope.TYPE, "t.job")])
def test_a_beat_gives_back_what_is_held_and_not_begun(
    place: Place, publisher: Publisher, scope: Scope, name: str
) -> None:
    publisher.push_many([message(1), message(2), message(3)])
    ledger = Ledger()
    for tag, queue_list, raw in acquire(place.client, 3):
        ledger.hold(tag, queue_list, json.dumps(raw).encode())
    begun, reserved, unopened = ledger.held
    for tag in (begun, reserved):
        ledger.open(tag)
    ledger.engage(begun)
    place.pause_all(scope, name)
    Heart(ledger, place.client, 5.0, dict, lambda taken, void: None, lambda: None).beat()
    ledger.commit(place.client, 30)
    assert set(ledger.held) == {begun, reserved}
    assert ledger.held_back == {begun, reserved, unopened}
    assert ledger.recall(ledger.held_back) == {reserved}
    ledger.commit(place.client, 30)
    assert places(place.client)[:2] == (2, 1)


def test_a_beat_gives_back_a_single_job_that_is_held(place: Place, publisher: Publisher) -> None:
    publisher.push_many([message(1), message(2)])
    ledger = Ledger()
    for tag, queue_list, raw in acquire(place.client, 2):
        ledger.hold(tag, queue_list, json.dumps(raw).encode())
    first, second = ledger.held
    publisher.fence({message(1).job_id: 1 + keys.HELD})
    Heart(ledger, place.client, 5.0, dict, lambda taken, void: None, lambda: None).beat()
    ledger.commit(place.client, 30)
    assert list(ledger.held) == [second]
    assert acquire(place.client, 10, "w:2:") == []
    assert first not in place.client.hkeys(keys.LEASES)
