"""The transport's scripts and its seams with kombu, on a real Redis."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from kombu import Connection, Queue
from kombu.asynchronous import Hub
from queues import QUEUE, Forgetful, acquire, journal, message, places, silence

from jobplatform.devstack.stack import DevStack
from jobplatform.errors import SettingsError
from jobplatform.journal import entry
from jobplatform.transport import committers, keys, redis
from jobplatform.transport.channel import Channel
from jobplatform.transport.ledger import Ledger
from jobplatform.transport.message import Message, envelope
from jobplatform.transport.publisher import Publisher
from jobplatform.transport.rescue import Rescued, rescue
from jobplatform.transport.scripts import COMMIT

HOSTILE = {
    "no JSON": b"not json at all",
    "a list": b"[1, 2, 3]",
    "bad UTF-8": b'{"body": "\xff\xfe"}',
    "no properties": b'{"body": "x", "headers": {}}',
    "properties of a wrong type": b'{"body": "x", "properties": 5, "headers": {}}',
    "deep": b"[" * 200_000 + b"]" * 200_000,
    "a huge integer": b'{"properties": {"priority": ' + b"9" * 10_000 + b"}}",
}


def test_the_most_urgent_come_first_and_each_list_in_order(client: Any, publisher: Publisher) -> None:
    publisher.push_many([message(1), message(2), message(3, 5), message(4, 2), message(5, 5)])
    taken = [body["headers"]["id"][-1] for _, _, body in acquire(client, 9)]
    assert taken == ["3", "5", "4", "1", "2"]
    assert places(client) == (0, 5, 0)


def test_a_push_outlives_its_connection_and_the_scripts(client: Any, publisher: Publisher) -> None:
    publisher.push(message(1))
    client.client_kill_filter(_type="normal", skipme=True)
    publisher.push(message(2))
    client.script_flush()
    publisher.push(message(3))
    assert places(client) == (3, 0, 0)


def test_no_more_are_taken_than_asked_for(client: Any, publisher: Publisher) -> None:
    publisher.push_many(message(number, 1 + number % 5) for number in range(10))
    assert len(acquire(client, 3)) == 3
    assert places(client) == (7, 3, 0)


def test_a_full_journal_stops_the_handing_out(client: Any, publisher: Publisher) -> None:
    publisher.push(message(1))
    for _ in range(3):
        client.xadd(keys.JOURNAL, {"e1": "x"})
    with pytest.raises(OverflowError):
        acquire(client, 1, limit=2)
    assert places(client) == (1, 0, 3)


def test_a_commit_journals_and_removes_the_lease_in_one_step(client: Any, publisher: Publisher) -> None:
    publisher.push_many([message(1), message(2)])
    ledger = Ledger()
    for tag, queue, _ in acquire(client, 2):
        ledger.hold(tag, queue, b"{}")
    assert ledger.start("w:1:001", lambda: "start one")
    ledger.start("w:1:002", lambda: "start two")
    ledger.outcome("w:1:001", "end one", "celery-task-meta-1", '{"status":"SUCCESS"}')
    ledger.settle("w:1:001")
    assert ledger.commit(client, 30)
    assert [text for _, text in journal(client)] == ["start two", "end one"]
    assert places(client) == (0, 1, 1)
    assert client.get("celery-task-meta-1") == b'{"status":"SUCCESS"}'
    assert 0 < client.ttl("celery-task-meta-1") <= 30


def test_news_of_a_lease_that_was_taken_away_is_noted_as_stale(client: Any, publisher: Publisher) -> None:
    publisher.push(message(1))
    ledger = Ledger()
    ((tag, queue, _),) = acquire(client, 1)
    ledger.hold(tag, queue, b"{}")
    silence(client, tag)
    assert rescue(client, 30, 100, watched=0) == Rescued(0, 1, [])
    ledger.start(tag, lambda: "start")
    ledger.commit(client, 30)
    ledger.outcome(tag, "late", "celery-task-meta-9", "{}")
    ledger.settle(tag)
    ledger.commit(client, 30)
    assert [(name[0], text) for name, text in journal(client)] == [("x", "start"), ("x", "late")]
    assert ledger.counts["stale"] == 2
    assert not client.exists("celery-task-meta-9")
    assert places(client) == (1, 0, 2)


def test_a_lease_that_redis_forgot_refuses_nothing(client: Any) -> None:
    ledger = Ledger()
    ledger.hold("forgotten", QUEUE, b"{}")
    ledger.outcome("forgotten", "end", "celery-task-meta-9", "{}")
    ledger.settle("forgotten")
    ledger.commit(client, 30)
    ((name, text),) = journal(client)
    assert (name[0], text, ledger.counts["stale"]) == ("e", "end", 0)


def test_a_commit_whose_reply_got_lost_is_not_applied_twice(client: Any, publisher: Publisher) -> None:
    publisher.push(message(1))
    ledger = Ledger()
    ((tag, queue, _),) = acquire(client, 1)
    ledger.hold(tag, queue, b"{}")
    client.script_load(COMMIT.text)
    ledger.outcome(tag, "end")
    ledger.settle(tag)
    assert not ledger.commit(Forgetful(client), 30)
    assert len(ledger) == 1
    assert ledger.commit(client, 30)
    assert [text for _, text in journal(client)] == ["end"]
    assert ledger.counts["stale"] == 0


def test_a_commit_that_comes_late_and_once_more_changes_nothing(client: Any) -> None:
    ledger = Ledger()
    ledger.note("one")
    late = ledger.next_batch(30)
    assert ledger.commit(client, 30)
    ledger.note("two")
    assert ledger.commit(client, 30)
    assert COMMIT.run(client, ledger.names(), late or []) == [0, 0]
    assert [text for _, text in journal(client)] == ["one", "two"]
    ledger.note("three")
    assert ledger.commit(client, 30)
    assert ledger.counts["repeated"] == 0


def test_a_lease_that_was_told_again_and_settled_is_not_told_once_more(client: Any, publisher: Publisher) -> None:
    publisher.push(message(1))
    ledger = Ledger()
    ((tag, queue, raw),) = acquire(client, 1)
    ledger.hold(tag, queue, json.dumps(raw).encode())
    ledger.note("plain")
    ledger.restore([tag])
    assert ledger.commit(client, 30)
    client.flushdb()
    ledger.settle(tag)
    assert ledger.commit(client, 30)
    assert ledger.counts["repeated"] == 1
    assert (client.hlen(keys.LEASES), [text for _, text in journal(client)]) == (0, ["plain"])


def test_news_that_redis_lost_is_written_again(client: Any, publisher: Publisher) -> None:
    publisher.push_many([message(1), message(2)])
    ledger = Ledger()
    for tag, queue, _ in acquire(client, 2):
        ledger.hold(tag, queue, b"{}")
    leases, times = client.hgetall(keys.LEASES), client.zrange(keys.LEASE_TIMES, 0, -1, withscores=True)
    ledger.outcome("w:1:001", "end one")
    ledger.settle("w:1:001")
    ledger.give_back(["w:1:002"])
    ledger.commit(client, 30)
    client.flushdb()
    client.hset(keys.LEASES, mapping=leases)
    client.zadd(keys.LEASE_TIMES, dict(times))
    assert ledger.repeat() == 1
    assert ledger.commit(client, 30)
    assert places(client) == (1, 0, 1)
    assert ledger.repeat() == 1
    assert ledger.commit(client, 30)
    assert places(client) == (1, 0, 2)
    assert {text for _, text in journal(client)} == {"end one"}


def test_what_is_given_back_is_at_the_head_of_its_own_list(client: Any, publisher: Publisher) -> None:
    publisher.push_many([message(1, 4), message(2, 4)])
    ledger = Ledger()
    ((tag, _, _),) = acquire(client, 1)
    ledger.hold(tag, keys.queue_list(QUEUE, 4), b"{}")
    ledger.give_back([tag])
    ledger.commit(client, 30)
    assert [body["headers"]["id"][-1] for _, _, body in acquire(client, 2, "w:2:")] == ["1", "2"]


def test_only_what_has_not_begun_is_recalled(client: Any, publisher: Publisher) -> None:
    publisher.push_many([message(1), message(2), message(3)])
    ledger = Ledger()
    begun, handed, waiting = [tag for tag, _, _ in acquire(client, 3)]
    for tag in (begun, handed, waiting):
        ledger.hold(tag, QUEUE, b"{}")
    assert ledger.start(begun, lambda: "start")
    assert ledger.engage(handed)
    assert ledger.recall([begun, handed, waiting]) == {waiting}
    assert not ledger.engage(waiting)
    assert not ledger.start(waiting, lambda: "too late")
    assert ledger.commit(client, 30)
    assert places(client) == (1, 2, 1)
    assert [text for _, text in journal(client)] == ["start"]
    assert (ledger.lose(begun), ledger.lose(handed)) == (False, False)


def test_a_large_ledger_is_written_in_pieces(client: Any) -> None:
    ledger = Ledger()
    for number in range(1_500):
        ledger.note(f"entry {number}")
    assert ledger.commit(client, 30)
    assert [text for _, text in journal(client)] == [f"entry {number}" for number in range(1_500)]


def test_a_commit_notices_that_redis_lost_the_one_before(client: Any) -> None:
    ledger, noticed = Ledger(), list[str]()
    ledger.on_forgotten = lambda: noticed.append("forgotten")
    ledger.note("one")
    ledger.commit(client, 30)
    client.flushdb()
    ledger.note("two")
    assert ledger.commit(client, 30)
    assert [text for _, text in journal(client)] == ["two", "one"]
    assert (noticed, ledger.counts["repeated"], len(ledger)) == (["forgotten"], 1, 0)


def test_a_message_below_its_fence_is_dropped_and_counted(client: Any, publisher: Publisher) -> None:
    publisher.push_many([message(1), message(2), message(3)])
    client.hset(keys.FENCES, mapping={message(2).job_id: 2, message(3).job_id: 1})
    taken = [body["headers"]["id"][-1] for _, _, body in acquire(client, 2)]
    assert taken == ["1", "3"]
    assert client.hgetall(keys.COUNTS) == {b"dropped": b"1", b"taken:work": b"2"}
    assert places(client) == (0, 2, 0)


@pytest.fixture
def connection(stack: DevStack, client: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    # Redis was emptied: a ledger of an earlier test would write its last news again.
    monkeypatch.setattr(committers, "_committers", {})
    redis.install()
    Channel.describe_unreadable = staticmethod(entry.unreadable)
    options = {"priority_steps": keys.PRIORITY_STEPS, "idle_poll_seconds": 0.1}
    with Connection(stack.redis_url, transport_options=options) as made:
        yield made


def test_a_purge_empties_lanes_as_well(connection: Connection, client: Any, publisher: Publisher) -> None:
    client.hset(keys.LIMITS, "key:acme", "1 - -")
    publisher.push_many(replace(message(number, 1 + number % 2), limit_key="acme") for number in range(5))
    assert len(acquire(client, 9)) == 1
    publisher.push(message(9))
    channel = connection.default_channel
    assert channel._size(QUEUE) == 5
    assert channel.queue_purge(QUEUE) == 5
    assert channel._size(QUEUE) == 0
    client.delete(keys.SLOTS, keys.USED)
    assert acquire(client, 9, "w:2:") == []


def test_while_a_worker_connects_anew_no_event_loop_is_late(connection: Connection) -> None:
    committer = connection.default_channel.committer
    committer.heart.start = lambda: None  # a beat would go on after this test
    connection.transport.register_with_event_loop(connection.connection, Hub())
    try:
        assert committer._describe()["loop_wait"] is not None
        connection.collect()
        assert committer._describe()["loop_wait"] is None
    finally:
        committer.release()


def received(connection: Connection, count: int, act: Any = lambda message: message.ack()) -> list[Any]:
    bodies: list[Any] = []

    def take(body: Any, message: Any) -> None:
        bodies.append(body)
        act(message)

    with connection.Consumer([Queue(QUEUE)], callbacks=[take]):
        while len(bodies) < count:
            connection.drain_events(timeout=10)
    return bodies


def test_a_plain_kombu_consumer_gets_and_settles_messages(connection: Connection, client: Any) -> None:
    with connection.Producer() as producer:
        for number in range(5):
            producer.publish({"n": number}, routing_key=QUEUE, exchange="", declare=[Queue(QUEUE)])
    assert received(connection, 5) == [{"n": number} for number in range(5)]
    assert places(client) == (0, 0, 0)


def test_hand_built_messages_read_like_celerys(connection: Connection, publisher: Publisher) -> None:
    publisher.push(message(7, 3))
    (body,) = received(connection, 1)
    assert body[:2] == [[1], {}]
    assert set(body[2]) == {"callbacks", "errbacks", "chain", "chord"}


def test_a_rejected_message_comes_again_and_a_closed_channel_gives_back(connection: Connection, client: Any) -> None:
    with connection.Producer() as producer:
        producer.publish({"n": 1}, routing_key=QUEUE, exchange="", declare=[Queue(QUEUE)])
    assert received(connection, 1, lambda message: message.reject(requeue=True)) == [{"n": 1}]
    assert received(connection, 1, lambda message: None) == [{"n": 1}]
    connection.close()
    assert places(client) == (1, 0, 0)


def test_the_stock_tools_see_the_queue(connection: Connection, client: Any, publisher: Publisher) -> None:
    publisher.push_many(message(number, number % 5 + 1) for number in range(10))
    channel = connection.default_channel
    assert Queue(QUEUE, channel=channel).queue_declare(passive=True).message_count == 10
    assert Queue(QUEUE, channel=channel).purge() == 10
    assert places(client) == (0, 0, 0)


@pytest.mark.parametrize("raw", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_message_is_journalled_and_the_next_one_arrives(
    connection: Connection, client: Any, publisher: Publisher, raw: bytes
) -> None:
    client.lpush(QUEUE, raw)
    publisher.push(message(1))
    (body,) = received(connection, 1)
    assert body[0] == [1]
    ((_, text),) = journal(client)
    assert json.loads(text)["k"] == "unreadable"
    assert json.loads(text)["r"]["size"] == len(raw)
    assert places(client)[:2] == (0, 0)


def test_a_key_prefix_is_refused(stack: DevStack) -> None:
    redis.install()
    with (
        Connection(stack.redis_url, transport_options={"global_keyprefix": "x:"}) as connection,
        pytest.raises(SettingsError, match="global_keyprefix"),
    ):
        connection.default_channel.client.ping()


def test_messages_carry_what_the_row_says() -> None:
    text = envelope(
        Message("j", "t", '{"args":[],"kwargs":{"a":"\\u00e9"}}', "q", 5, 9.0, 3, 2, "r", "p", 100.0, 9.5, 4.0,
                extra={"headers": {"group": "g"}, "embed": {"chain": [1]}, "properties": {"reply_to": "x"}})
    )  # fmt: skip
    value = json.loads(text)
    headers, properties = value["headers"], value["properties"]
    assert (headers["id"], headers["retries"], headers["jp_attempt"], headers["group"]) == ("j", 2, 3, "g")
    assert (headers["root_id"], headers["parent_id"], headers["timelimit"]) == ("r", "p", [9.5, 4.0])
    assert headers["expires"] == "1970-01-01T00:01:40+00:00"
    assert (properties["priority"], properties["reply_to"], properties["correlation_id"]) == (5, "x", "j")
    assert json.loads(value["body"]) == [
        [],
        {"a": "é"},
        {"callbacks": None, "errbacks": None, "chain": [1], "chord": None},
    ]
