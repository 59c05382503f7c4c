"""The transport's scripts and its seams with kombu, on a real Redis."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from kombu import Connection, Queue

from jobplatform.devstack.stack import DevStack
from jobplatform.errors import SettingsError
from jobplatform.journal import entry
from jobplatform.transport import keys, redis
from jobplatform.transport.channel import Channel
from jobplatform.transport.ledger import Ledger
from jobplatform.transport.message import Message, envelope
from jobplatform.transport.publisher import Publisher
from jobplatform.transport.scripts import ACQUIRE, COMMIT, RECLAIM

QUEUE = "work"


@pytest.fixture
def publisher(stack: DevStack) -> Iterator[Publisher]:
    made = Publisher(stack.redis_url, 5.0)
    yield made
    made.close()


def message(number: int, priority: int = 1) -> Message:
    return Message(f"00000000-0000-7000-8000-{number:012d}", "t.job", '{"args":[1],"kwargs":{}}', QUEUE, priority, 5.0)


def acquire(client: Any, count: int, tag: str = "w:1:", limit: int = 1000) -> list[tuple[str, str, dict[str, Any]]]:
    lists = [keys.queue_list(QUEUE, step) for step in reversed(keys.PRIORITY_STEPS)]
    names = [keys.LEASES, keys.LEASE_TIMES, keys.JOURNAL, *lists]
    reply = ACQUIRE.run(client, names, [count, tag, keys.SEPARATOR, limit])
    if reply in (b"FULL", "FULL"):
        raise OverflowError("FULL")
    triples = zip(*[iter(reply)] * 3, strict=True)
    return [(taken.decode(), queue.decode(), json.loads(raw)) for taken, queue, raw in triples]


def journal(client: Any) -> list[tuple[str, str]]:
    return [
        (name.decode(), text.decode()) for _, fields in client.xrange(keys.JOURNAL) for name, text in fields.items()
    ]


def places(client: Any) -> tuple[int, int, int]:
    queued = sum(client.llen(keys.queue_list(QUEUE, step)) for step in keys.PRIORITY_STEPS)
    return queued, client.hlen(keys.LEASES), client.xlen(keys.JOURNAL)


def test_the_most_urgent_come_first_and_each_list_in_order(client: Any, publisher: Publisher) -> None:
    publisher.push_many([message(1), message(2), message(3, 5), message(4, 2), message(5, 5)])
    taken = [body["headers"]["id"][-1] for _, _, body in acquire(client, 9)]
    assert taken == ["3", "5", "4", "1", "2"]
    assert places(client) == (0, 5, 0)


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
        ledger.hold(tag, queue)
    ledger.start("w:1:001", lambda: "start one")
    ledger.start("w:1:002", lambda: "start two")
    ledger.outcome("w:1:001", "end one", "celery-task-meta-1", '{"status":"SUCCESS"}')
    ledger.settle("w:1:001")
    assert ledger.commit(client, 30)
    assert [text for _, text in journal(client)] == ["start two", "end one"]
    assert places(client) == (0, 1, 1)
    assert client.get("celery-task-meta-1") == b'{"status":"SUCCESS"}'
    assert 0 < client.ttl("celery-task-meta-1") <= 30


def test_an_outcome_whose_lease_is_gone_is_noted_as_stale(client: Any) -> None:
    ledger = Ledger()
    ledger.hold("gone", QUEUE)
    ledger.outcome("gone", "late", "celery-task-meta-9", "{}")
    ledger.settle("gone")
    ledger.commit(client, 30)
    ((name, text),) = journal(client)
    assert name.startswith("x")
    assert text == "late"
    assert ledger.counts["stale"] == 1
    assert not client.exists("celery-task-meta-9")


class Forgetful:
    """A client whose replies get lost after the server did its work."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def execute_command(self, *args: Any) -> Any:
        self.client.execute_command(*args)
        raise ConnectionError("the reply got lost")


def test_a_commit_whose_reply_got_lost_is_not_applied_twice(client: Any, publisher: Publisher) -> None:
    publisher.push(message(1))
    ledger = Ledger()
    ((tag, queue, _),) = acquire(client, 1)
    ledger.hold(tag, queue)
    client.script_load(COMMIT.text)
    ledger.outcome(tag, "end")
    ledger.settle(tag)
    assert not ledger.commit(Forgetful(client), 30)
    assert len(ledger) == 1
    assert ledger.commit(client, 30)
    assert [text for _, text in journal(client)] == ["end"]
    assert ledger.counts["stale"] == 0


def test_what_is_given_back_is_at_the_head_of_its_own_list(client: Any, publisher: Publisher) -> None:
    publisher.push_many([message(1, 4), message(2, 4)])
    ledger = Ledger()
    ((tag, _, _),) = acquire(client, 1)
    ledger.hold(tag, keys.queue_list(QUEUE, 4))
    ledger.give_back([tag])
    ledger.commit(client, 30)
    assert [body["headers"]["id"][-1] for _, _, body in acquire(client, 2, "w:2:")] == ["1", "2"]


def test_a_large_ledger_is_written_in_pieces(client: Any) -> None:
    ledger = Ledger()
    for number in range(1_500):
        ledger.note(f"entry {number}")
    assert ledger.commit(client, 30)
    assert [text for _, text in journal(client)] == [f"entry {number}" for number in range(1_500)]


@pytest.mark.parametrize("priority", [1, 2, 5])
def test_leases_that_nobody_renews_go_back_to_their_list(client: Any, publisher: Publisher, priority: int) -> None:
    publisher.push(message(1, priority))
    ((tag, _, _),) = acquire(client, 1)
    args = [30, 100, keys.SEPARATOR]
    assert RECLAIM.run(client, [keys.LEASES, keys.LEASE_TIMES], args) == []
    assert places(client) == (0, 1, 0)
    client.zadd(keys.LEASE_TIMES, {tag: 1.0})
    assert RECLAIM.run(client, [keys.LEASES, keys.LEASE_TIMES], args) == []
    assert client.llen(keys.queue_list(QUEUE, priority)) == 1
    assert places(client) == (1, 0, 0)


def test_renewing_touches_only_leases_that_exist(client: Any, publisher: Publisher) -> None:
    publisher.push(message(1))
    ((tag, queue, _),) = acquire(client, 1)
    client.zadd(keys.LEASE_TIMES, {tag: 1.0})
    ledger = Ledger()
    ledger.hold(tag, queue)
    ledger.hold("lost", queue)
    assert ledger.renew(client) == 2
    assert client.zscore(keys.LEASE_TIMES, tag) > 1_000_000_000
    assert client.zscore(keys.LEASE_TIMES, "lost") is None


@pytest.fixture
def connection(stack: DevStack, client: Any) -> Iterator[Connection]:
    redis.install()
    Channel.describe_unreadable = staticmethod(entry.unreadable)
    options = {"priority_steps": keys.PRIORITY_STEPS, "idle_poll_seconds": 0.1}
    with Connection(stack.redis_url, transport_options=options) as made:
        yield made


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


HOSTILE = {
    "no JSON": b"not json at all",
    "a list": b"[1, 2, 3]",
    "bad UTF-8": b'{"body": "\xff\xfe"}',
    "no properties": b'{"body": "x", "headers": {}}',
    "properties of a wrong type": b'{"body": "x", "properties": 5, "headers": {}}',
    "deep": b"[" * 200_000 + b"]" * 200_000,
    "a huge integer": b'{"properties": {"priority": ' + b"9" * 10_000 + b"}}",
}


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
    assert json.loads(text)["size"] == len(raw)
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
                {"headers": {"group": "g"}, "embed": {"chain": [1]}, "properties": {"reply_to": "x"}})
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
