"""Heartbeats, what they renew and notice, and the leases of workers that have none any more."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from queues import QUEUE, Forgetful, acquire, journal, message, places, silence

from jobplatform.journal import entry
from jobplatform.transport import keys
from jobplatform.transport.census import heartbeats
from jobplatform.transport.committer import Committer
from jobplatform.transport.heart import Heart
from jobplatform.transport.ledger import Ledger
from jobplatform.transport.publisher import Publisher
from jobplatform.transport.rescue import Rescued, rescue


@pytest.mark.parametrize("priority", [1, 2, 5])
def test_what_had_not_started_goes_back_to_its_list(client: Any, publisher: Publisher, priority: int) -> None:
    publisher.push(message(1, priority))
    ((tag, _, _),) = acquire(client, 1)
    assert rescue(client, 30, 100, watched=0) == Rescued(0, 0, [])
    assert places(client) == (0, 1, 0)
    silence(client, tag)
    assert rescue(client, 30, 100, watched=0) == Rescued(0, 1, [])
    assert client.llen(keys.queue_list(QUEUE, priority)) == 1
    assert places(client) == (1, 0, 0)


def test_what_had_started_is_journalled_as_lost(client: Any, publisher: Publisher) -> None:
    publisher.push(message(1))
    ledger = Ledger()
    ((tag, queue, _),) = acquire(client, 1)
    ledger.hold(tag, queue, b"{}")
    head = entry.attempt_head("00000000-0000-7000-8000-000000000001", 2, "w1", 77, None, "")
    ledger.start(tag, lambda: entry.started(head, 5.0))
    ledger.commit(client, 30)
    silence(client, tag)
    assert rescue(client, 30, 100, watched=0) == Rescued(1, 0, [])
    assert places(client) == (0, 0, 2)
    assert client.hlen(keys.STARTS) == 0
    lost = entry.parse(journal(client)[-1][1].encode())
    assert (lost.kind, lost.attempt, lost.started, lost.worker, lost.pid) == (entry.Kind.FAILED, 2, 5.0, "w1", 77)
    assert lost.error and lost.error["interrupted"] and "silent for" in lost.error["message"]


def test_a_lost_attempt_tells_the_memory_that_its_worker_reported_last(client: Any, publisher: Publisher) -> None:
    publisher.push_many([message(1), message(2)])
    ledger = Ledger()
    processes = [{"pid": 7, "rss": 1, "cpu": 0.1}, {"pid": 77, "rss": 5 << 20, "cpu": 0.1}]
    for pid, (tag, queue, _) in zip((77, 78), acquire(client, 2, f"{ledger.node}:1:"), strict=True):
        ledger.hold(tag, queue, b"{}")
        head = entry.attempt_head(f"00000000-0000-7000-8000-0000000000{pid}", 1, "w1", pid, None, "")
        ledger.start(tag, lambda head=head: entry.started(head, 5.0))
    ledger.commit(client, 30)
    report = {"pid": 77, "running": [{"pid": 77, "since": 1.0}], "processes": processes}
    heart = Heart(ledger, client, 5.0, lambda: report, lambda *_: None, lambda: None)
    assert heart.beat()
    for tag in ledger.held:
        silence(client, tag)
    assert rescue(client, 30, 100, watched=0) == Rescued(2, 0, [])
    lost = {each.pid: each for each in (entry.parse(text.encode()) for _, text in journal(client)[-2:])}
    known, unknown = lost[77].error or {}, lost[78].error or {}
    assert (known["death"]["pid"], known["death"]["rss"]) == (77, 5 << 20)
    assert "; it took 5 MiB " in known["message"]
    assert known["death"]["rss_at"] == pytest.approx(heartbeats(client)[ledger.node].at, abs=0.001)
    assert unknown["death"] == {"pid": 78}


def test_nothing_is_taken_before_somebody_has_watched_for_as_long_as_a_lease_lives(
    client: Any, publisher: Publisher
) -> None:
    publisher.push(message(1))
    ((tag, _, _),) = acquire(client, 1)
    silence(client, tag)
    assert rescue(client, 30, 100, watched=5) == Rescued(0, 0, [])
    since, last = map(float, client.get(keys.WATCH).split())
    client.set(keys.WATCH, f"{since - 31:.6f} {last:.6f}")
    assert rescue(client, 30, 100, watched=5) == Rescued(0, 1, [])
    client.set(keys.WATCH, f"{since - 31:.6f} {last - 6:.6f}")
    ((tag, _, _),) = acquire(client, 1, "w:2:")
    silence(client, tag)
    assert rescue(client, 30, 100, watched=5) == Rescued(0, 0, [])


def test_a_beat_renews_what_exists_and_names_what_was_taken(client: Any, publisher: Publisher) -> None:
    publisher.push_many([message(1), message(2)])
    ledger, taken = Ledger(), set[str]()
    (kept, queue, _), (lost, _, _) = acquire(client, 2)
    for tag in (kept, lost):
        ledger.hold(tag, queue, b"{}")
    silence(client, lost)
    rescue(client, 30, 100, watched=0)
    silence(client, kept)
    assert heart_of(ledger, client, taken).beat()
    assert taken == {lost}
    assert client.zscore(keys.LEASE_TIMES, kept) > 1_000_000_000
    assert client.zcard(keys.LEASE_TIMES) == 1
    at, known, report = client.hget(keys.WORKERS, ledger.node).split(b" ", 2)
    assert (float(known), json.loads(report)) == (pytest.approx(float(at), abs=0.001), {"name": "w1"})


def test_a_worker_that_nobody_hears_lets_go_of_what_has_not_begun(client: Any, publisher: Publisher) -> None:
    """Others may have been given its leases: what begins now might begin twice."""
    publisher.push_many([message(number) for number in range(1, 4)])
    clock = [100.0]
    ledger = Ledger(lambda: clock[0])
    committer = Committer(ledger, {}, {"heartbeat_seconds": 5})
    committer.client = committer.heart.client = client
    ledger.on_news = lambda: None
    running, next_one, later = tags = [tag for tag, _, _ in acquire(client, 3, f"{ledger.node}:1:")]
    for tag in tags:
        ledger.hold(tag, keys.queue_list(QUEUE, 1), b"{}")
    assert committer.still_holds(running)
    assert ledger.engage(running)
    clock[0] += 16
    assert committer.still_holds(next_one)
    committer.heart.client = Forgetful(client)
    clock[0] += 16
    assert not committer.still_holds(next_one)
    assert not committer.still_holds(later)
    assert committer.still_holds(running)
    assert places(client) == (0, 3, 0)
    assert committer.commit()
    assert places(client) == (2, 1, 0)


def heart_of(ledger: Ledger, client: Any, taken: set[str], void: set[str] | None = None) -> Heart:
    def on_void(found: set[str], also: set[str]) -> None:
        taken.update(found)
        (taken if void is None else void).update(also)

    return Heart(ledger, client, 5.0, lambda: {"name": "w1"}, on_void, lambda: ledger.commit(client, 30))


def test_a_beat_names_what_is_not_to_run_any_more(client: Any, publisher: Publisher) -> None:
    publisher.push_many([message(1), message(2), message(3)])
    ledger, taken, void = Ledger(), set[str](), set[str]()
    for tag, queue_list, raw in acquire(client, 3):
        ledger.hold(tag, queue_list, json.dumps(raw).encode())
    _, cancelled, _ = ledger.held
    publisher.fence({message(2).job_id: 2, message(3).job_id: 1})
    assert heart_of(ledger, client, taken, void).beat()
    assert (taken, void) == (set(), {cancelled})
    assert (publisher.fence_of(message(2).job_id), publisher.fence_of("unknown")) == (2.0, 0.0)


def test_a_lease_whose_job_was_published_anew_is_not_restored(client: Any, publisher: Publisher) -> None:
    publisher.push(message(1))
    ledger, taken = Ledger(), set[str]()
    ((tag, queue_list, raw),) = acquire(client, 1)
    ledger.hold(tag, queue_list, json.dumps(raw).encode())
    client.flushdb()
    publisher.fence({message(1).job_id: 2})
    heart = heart_of(ledger, client, taken)
    assert heart.beat()
    assert taken == set()
    assert heart.beat()
    assert taken == {tag}
    assert places(client)[1] == 0


def test_an_emptied_redis_is_told_what_is_held_and_what_was_written_last(client: Any, publisher: Publisher) -> None:
    publisher.push_many([message(1), message(2, 4), message(3)])
    ledger, taken = Ledger(), set[str]()
    for tag, queue_list, raw in acquire(client, 3):
        ledger.hold(tag, queue_list, json.dumps(raw).encode())
    urgent, begun, ended = ledger.held
    ledger.start(begun, lambda: '{"k":"started"}')
    ledger.outcome(ended, "end")
    ledger.settle(ended)
    ledger.commit(client, 30)
    leases = client.hgetall(keys.LEASES)
    client.flushdb()
    heart = heart_of(ledger, client, taken)
    assert heart.beat()
    assert heartbeats(client)[ledger.node].known == 0
    assert heart.beat()
    assert heartbeats(client)[ledger.node].known > 1_000_000_000
    assert client.hgetall(keys.LEASES).keys() == leases.keys() == {urgent.encode(), begun.encode()}
    assert client.hgetall(keys.STARTS) == {begun.encode(): b'{"k":"started"}'}
    assert "end" in {text for _, text in journal(client)}
    silence(client, urgent)
    rescue(client, 30, 100, watched=0)
    assert client.llen(keys.queue_list(QUEUE, 4)) == 1
    assert not taken


def test_a_beat_notices_what_redis_lost_of_a_worker_that_holds_nothing(client: Any) -> None:
    ledger = Ledger()
    ledger.note("one")
    assert ledger.commit(client, 30)
    client.flushdb()
    assert heart_of(ledger, client, set()).beat()
    assert heartbeats(client)[ledger.node].known == 0
    assert [text for _, text in journal(client)] == ["one"]


def test_a_beat_tells_how_old_the_news_is_that_redis_does_not_know(client: Any) -> None:
    clock = [100.0]
    ledger = Ledger(lambda: clock[0])
    ledger.note("one")
    clock[0] += 7.0
    ledger.note("two")
    assert heart_of(ledger, client, set()).beat()
    said = heartbeats(client)[ledger.node]
    assert said.at - said.known == pytest.approx(7.0, abs=0.01)
    assert not ledger.commit(Forgetful(client), 30)
    clock[0] += 1.0
    assert ledger.waited() == 8.0
    assert ledger.commit(client, 30)
    assert ledger.waited() == 0.0
    ledger.give_back([])
    ledger.restore([])
    clock[0] += 1.0
    assert ledger.waited() == 0.0, "nothing is new"
    ledger.note("three")
    clock[0] += 1.0
    assert ledger.waited() == 1.0


def test_a_lease_that_was_forgotten_fences_the_message_that_came_back(client: Any, publisher: Publisher) -> None:
    publisher.push(message(1))
    ledger = Ledger()
    ((tag, queue_list, raw),) = acquire(client, 1)
    ledger.hold(tag, queue_list, json.dumps(raw).encode())
    client.flushdb()
    publisher.push(message(1))
    ledger.restore([tag, "unknown"])
    assert ledger.commit(client, 30)
    assert acquire(client, 1, "w:2:") == []
    assert places(client) == (0, 1, 0)


@pytest.mark.parametrize("rescued", [False, True], ids=["given back", "rescued"])
def test_a_lease_that_was_forgotten_and_goes_back_is_handed_out_again(
    client: Any, publisher: Publisher, rescued: bool
) -> None:
    publisher.push(message(1))
    ledger = Ledger()
    ((tag, queue_list, raw),) = acquire(client, 1)
    ledger.hold(tag, queue_list, json.dumps(raw).encode())
    client.flushdb()
    ledger.restore([tag])
    assert ledger.commit(client, 30)
    if rescued:
        silence(client, tag)
        assert rescue(client, 30, 100, watched=0) == Rescued(0, 1, [])
    else:
        ledger.give_back([tag])
        assert ledger.commit(client, 30)
    assert len(acquire(client, 1, "w:2:")) == 1


def test_a_heart_does_not_stop_when_a_beat_goes_wrong(client: Any) -> None:
    ledger, told = Ledger(), threading.Event()

    def describe() -> dict[str, Any]:
        if not ledger.counts["beats_failed"]:
            raise RuntimeError("Set changed size during iteration")
        told.set()
        return {"name": "w1"}

    heart = Heart(ledger, client, 0.01, describe, lambda taken, void: None, lambda: None)
    heart.start()
    assert told.wait(30)
    heart.stop()
    assert ledger.counts["beats_failed"] == 1
    assert json.loads(client.hget(keys.WORKERS, ledger.node).split(b" ", 2)[2]) == {"name": "w1", "gone": True}


def test_a_heart_writes_what_no_event_loop_writes(client: Any, publisher: Publisher) -> None:
    """The worker connects anew: Redis hears its heart again before it hears its event loop."""
    publisher.push(message(1))
    ledger, clock = Ledger(), [100.0]
    ledger.clock = lambda: clock[0]
    ((tag, queue_list, raw),) = acquire(client, 1, f"{ledger.node}:1:")
    ledger.hold(tag, queue_list, json.dumps(raw).encode())
    ledger.start(tag, lambda: "began")
    assert ledger.commit(client, 30)
    ledger.outcome(tag, "ended")
    ledger.settle(tag)
    clock[0] += 1.0
    written = threading.Event()

    def write() -> None:
        assert ledger.commit(client, 30)
        written.set()

    heart = Heart(ledger, client, 0.01, lambda: {"name": "w1"}, lambda taken, void: None, write)
    heart.start()
    assert written.wait(30)
    heart.stop()
    assert places(client) == (0, 0, 2)
    silence(client, tag)
    assert rescue(client, 30, 100, watched=0) == Rescued(0, 0, [])


def test_a_worker_that_ends_tells_which_attempts_it_interrupts(client: Any, publisher: Publisher) -> None:
    """Celery has not said how they ended: given back, they would begin again as the same attempt."""
    publisher.push_many([message(number) for number in range(1, 5)])
    ledger = Ledger()
    tags = []
    for tag, queue_list, raw in acquire(client, 4, f"{ledger.node}:1:"):
        ledger.hold(tag, queue_list, json.dumps(raw).encode())
        tags.append(tag)
    told, new, ended, waiting = tags
    ledger.start(told, lambda: "told")
    assert ledger.commit(client, 30)
    ledger.start(new, lambda: "new")
    ledger.start(ended, lambda: "ended")
    ledger.outcome(ended, "the end")
    ledger.leave(lambda start: f"{start} was interrupted")
    assert ledger.commit(client, 30)
    assert places(client)[:2] == (1, 0)
    assert [text for _, text in journal(client)] == ["told", "told was interrupted", "new was interrupted", "the end"]
    ((_, _, left),) = acquire(client, 4, "w:2:")
    assert left["headers"]["id"] == message(4).job_id
    assert waiting not in ledger.held
