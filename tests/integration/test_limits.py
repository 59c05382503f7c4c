"""Limits, fair order and ageing: what the scripts hand out, and when."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from queues import QUEUE, acquire, message, silence

from jobplatform.transport import keys
from jobplatform.transport.census import clock, oldest_message, waiting
from jobplatform.transport.ledger import Ledger
from jobplatform.transport.message import Message
from jobplatform.transport.publisher import Publisher
from jobplatform.transport.rescue import Rescued, rescue
from jobplatform.transport.scripts import RECOUNT

TYPE = f"type:{message(1).job_type}"


def limit(client: Any, rules: Mapping[str, str]) -> None:
    client.hset(keys.LIMITS, mapping=dict(rules))


def limited(
    number: int, key: str | None = None, units: int = 1, priority: int = 1, tenant: str | None = None
) -> Message:
    return replace(message(number, priority), limit_key=key, units=units, tenant=tenant)


def numbers(taken: list[tuple[str, str, dict[str, Any]]]) -> list[int]:
    return [int(body["headers"]["id"][-12:]) for _, _, body in taken]


def end(client: Any, ledger: Ledger, tag: str) -> None:
    ledger.settle(tag)
    assert ledger.commit(client, 30)


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.mark.parametrize("name", [f"queue:{QUEUE}", TYPE, "key:acme", "key:tenant:*"])
def test_no_more_than_its_slots_are_handed_out(client: Any, publisher: Publisher, ledger: Ledger, name: str) -> None:
    key = {"key:acme": "acme", "key:tenant:*": "tenant:acme"}.get(name)
    limit(client, {name: "2 - -"})
    publisher.push_many(limited(number, key) for number in range(5))
    taken = acquire(client, 9)
    assert numbers(taken) == [0, 1]
    assert acquire(client, 9, "w:2:") == []
    end(client, ledger, taken[0][0])
    assert numbers(acquire(client, 9, "w:3:")) == [2]
    assert acquire(client, 9, "w:4:") == []
    assert waiting(client, QUEUE) == 2


def test_what_is_not_limited_passes_what_is(client: Any, publisher: Publisher) -> None:
    limit(client, {"key:acme": "1 - -"})
    publisher.push_many([limited(1, "acme"), limited(2, "acme"), limited(3), limited(4, "other"), limited(5, "acme")])
    assert numbers(acquire(client, 9)) == [1, 3, 4]


def test_jobs_of_one_key_keep_their_order(client: Any, publisher: Publisher, ledger: Ledger) -> None:
    limit(client, {"key:acme": "1 - -"})
    publisher.push_many(limited(number, "acme") for number in range(4))
    seen = []
    for turn in range(6):
        taken = acquire(client, 2, f"w:{turn}:")
        seen += numbers(taken)
        if turn == 1:
            publisher.push_many(limited(number, "acme") for number in range(4, 6))
        for tag, _, _ in taken:
            end(client, ledger, tag)
    assert seen == list(range(6))


@pytest.mark.parametrize("way", ["given back", "rescued", "published again"])
def test_what_was_handed_out_before_is_the_next_of_its_lane(
    client: Any, publisher: Publisher, ledger: Ledger, way: str
) -> None:
    limit(client, {"key:acme": "2 - -"})
    publisher.push_many(limited(number, "acme") for number in range(6))
    (first, *_), (second, *_) = acquire(client, 4, f"{ledger.node}:1:")
    for tag in (first, second):
        ledger.hold(tag, QUEUE, client.hget(keys.LEASES, tag))
    if way == "given back":
        ledger.give_back([first, second])
        assert ledger.commit(client, 30)
    elif way == "rescued":
        assert rescue(client, -1.0, 100, watched=0).returned == 2
    else:
        for tag in (first, second):
            end(client, ledger, tag)
        publisher.push_many([limited(number, "acme") for number in range(2)], first=True)
    taken = acquire(client, 9, "w:2:")
    assert numbers(taken) == [0, 1]
    for tag, _, _ in taken:
        end(client, ledger, tag)
    assert numbers(acquire(client, 9, "w:3:")) == [2, 3]


@pytest.mark.parametrize("fair", [True, False])
@pytest.mark.parametrize("waits", [True, False])
def test_what_is_published_again_goes_before_older_jobs_of_others(
    client: Any, publisher: Publisher, ledger: Ledger, fair: bool, waits: bool
) -> None:
    limit(client, {"queue:work": "1 - -", **({"fair:work": "1"} if fair else {})})
    first = limited(0, "acme", tenant="acme")
    publisher.push_many([first, *(limited(number, key, tenant=key) for number, key in enumerate("bcd", 1))])
    if waits:
        publisher.push(limited(9, "acme", tenant="acme"))
    (taken,) = acquire(client, 1, "w:1:")
    assert acquire(client, 1, "w:2:") == []
    publisher.push_many([replace(first, enqueued_at=clock(client))], first=True)
    end(client, ledger, taken[0])
    seen = []
    for turn in range(4 + waits):
        ((tag, *_),) = found = acquire(client, 1, f"w:{turn + 3}:")
        seen += numbers(found)
        end(client, ledger, tag)
    assert seen[0] == 0
    assert sorted(seen) == [0, 1, 2, 3, *([9] if waits else [])]
    assert client.keys("jp:blocked*") == client.keys("jp:ready*") == []


def test_the_most_urgent_that_wait_go_first(client: Any, publisher: Publisher, ledger: Ledger) -> None:
    limit(client, {TYPE: "1 - -"})
    publisher.push_many([limited(1), limited(2), limited(3, priority=5)])
    ((tag, _, _),) = acquire(client, 9)
    publisher.push(limited(4, priority=4))
    assert acquire(client, 9, "w:2:") == []
    order = []
    for turn in range(3):
        end(client, ledger, tag)
        ((tag, _, body),) = acquire(client, 9, f"v:{turn}:")
        order.append(int(body["headers"]["id"][-12:]))
    assert order == [4, 1, 2]


def test_a_job_takes_as_many_slots_as_it_has_units(client: Any, publisher: Publisher, ledger: Ledger) -> None:
    limit(client, {"key:acme": "5 - -"})
    publisher.push_many([limited(1, "acme", 3), limited(2, "acme", 3), limited(3, "acme", 2), limited(4, "acme", 9)])
    (first,) = acquire(client, 9)
    end(client, ledger, first[0])
    second = acquire(client, 9, "w:2:")
    assert numbers(second) == [2, 3]
    for tag, _, _ in second:
        end(client, ledger, tag)
    alone = acquire(client, 9, "w:3:")
    assert numbers(alone) == [4], "what needs more than there is runs alone"
    assert client.hgetall(keys.USED) == {b"key:acme": b"9"}
    end(client, ledger, alone[0][0])
    assert not client.exists(keys.USED, keys.SLOTS)


def test_a_job_waits_for_all_of_its_limits(client: Any, publisher: Publisher, ledger: Ledger) -> None:
    limit(client, {TYPE: "2 - -", "key:*": "1 - -", "key:tenant:*": "1 - -"})
    publisher.push_many(
        [limited(1, "tenant:a"), limited(2, "tenant:a"), limited(3, "tenant:b"), limited(4, "tenant:c")]
    )
    taken = acquire(client, 9)
    assert numbers(taken) == [1, 3]
    end(client, ledger, taken[1][0])
    assert numbers(acquire(client, 9, "w:2:")) == [4], "2 waits for its key, and leaves the slot of its type to 4"
    end(client, ledger, taken[0][0])
    assert numbers(acquire(client, 9, "w:3:")) == [2]


def test_slots_die_with_their_leases(client: Any, publisher: Publisher, ledger: Ledger) -> None:
    limit(client, {"key:acme": "2 - -"})
    publisher.push_many(limited(number, "acme") for number in range(6))
    (begun, queue, _), (held, _, _) = acquire(client, 9)
    ledger.hold(begun, queue, b"{}")
    ledger.start(begun, lambda: json.dumps({"j": "x", "a": 1}))
    assert ledger.commit(client, 30)
    for tag in (begun, held):
        silence(client, tag)
    assert rescue(client, 30, 100, watched=0) == Rescued(1, 1, [])
    again = acquire(client, 9, "w:2:")
    assert len(again) == 2
    for tag, queue_list, raw in again:
        ledger.hold(tag, queue_list, json.dumps(raw).encode())
    ledger.give_back([tag for tag, _, _ in again])
    assert ledger.commit(client, 30)
    assert not client.exists(keys.SLOTS)
    assert len(acquire(client, 9, "w:3:")) == 2


def test_a_worker_that_may_hold_no_more_slots_leaves_them_to_others(client: Any, publisher: Publisher) -> None:
    limit(client, {"key:acme": "3 - -"})
    publisher.push_many([limited(1, "acme"), limited(2, "acme"), limited(3), limited(4, "acme")])
    assert numbers(acquire(client, 9, "w:1:", slots=1)) == [1, 3]
    assert acquire(client, 9, "w:2:", slots=0) == []
    assert numbers(acquire(client, 9, "w:3:", slots=9)) == [2, 4]


def test_slots_of_which_there_are_enough_may_be_held_idly(client: Any, publisher: Publisher) -> None:
    limit(client, {"key:acme": "8 - -"})
    publisher.push_many([limited(number, "acme") for number in range(6)])
    assert numbers(acquire(client, 9, "w:1:", slots=0)) == [0, 1]
    assert acquire(client, 9, "w:2:", slots=0) == []
    assert numbers(acquire(client, 9, "w:3:", slots=3)) == [2, 3, 4]


def test_tokens_come_with_time(client: Any, publisher: Publisher) -> None:
    limit(client, {"key:acme": "- 10 2"})
    publisher.push_many(limited(number, "acme") for number in range(5))
    assert numbers(acquire(client, 9)) == [0, 1]
    assert acquire(client, 9, "w:2:") == []
    ((place, at),) = client.zrange(keys.TIMED, 0, -1, withscores=True)
    assert 0.0 < at - clock(client) <= 0.1
    tokens, when = client.hget(keys.TOKENS, "key:acme").split()
    client.hset(keys.TOKENS, "key:acme", b"%s %.6f" % (tokens, float(when) - 0.1))
    client.zadd(keys.TIMED, {place: at - 0.1})
    assert numbers(acquire(client, 9, "w:3:")) == [2]


def test_a_queue_is_shared_by_weight(client: Any, publisher: Publisher) -> None:
    weights = {"a": 1, "b": 1, "c": 1, "d": 1, "e": 4}
    limit(client, {f"fair:{QUEUE}": "1", f"weight:{QUEUE}:e": "4"})
    backlog = {name: 2_000 if name == "a" else 200 for name in weights}
    count = 0
    for name, size in backlog.items():
        publisher.push_many(limited(count + number, tenant=name) for number in range(size))
        count += size
    given: Counter[str] = Counter()
    acquire(client, 1, "w:0:")
    for turn in range(1, 21):
        given.update(body["headers"]["jp_tenant"] for _, _, body in acquire(client, 16, f"w:{turn}:"))
    shares = [given[name] / weight for name, weight in weights.items()]
    jain = sum(shares) ** 2 / (len(shares) * sum(share**2 for share in shares))
    assert jain > 0.99, given


def test_a_tenant_that_was_away_gets_no_more_than_its_share(client: Any, publisher: Publisher) -> None:
    limit(client, {f"fair:{QUEUE}": "1"})
    publisher.push_many(limited(number, tenant="a") for number in range(100))
    assert len(acquire(client, 50)) == 50
    publisher.push_many(limited(100 + number, tenant="b") for number in range(100))
    tenants = Counter(body["headers"]["jp_tenant"] for _, _, body in acquire(client, 20, "w:2:"))
    assert abs(tenants["a"] - tenants["b"]) <= 1


def test_limits_and_fair_order_go_together(client: Any, publisher: Publisher) -> None:
    limit(client, {f"fair:{QUEUE}": "1", "key:tenant:*": "3 - -"})
    publisher.push_many(limited(number, "tenant:a", tenant="a") for number in range(50))
    publisher.push_many(limited(50 + number, "tenant:b", tenant="b") for number in range(2))
    publisher.push_many(limited(60 + number, tenant="a") for number in range(2))
    assert sorted(numbers(acquire(client, 20))) == [0, 1, 2, 50, 51, 60, 61]


def test_what_waits_rises(client: Any, publisher: Publisher) -> None:
    now = clock(client)
    limit(client, {f"age:{QUEUE}": "10"})
    old = replace(limited(1, priority=1), enqueued_at=now - 25)
    older = replace(limited(2, priority=2), enqueued_at=now - 200)
    publisher.push_many([limited(3, priority=5), limited(4, priority=4), limited(5, priority=2), old, older])
    fresh = [replace(limited(6, priority=5), enqueued_at=now), replace(limited(7, priority=2), enqueued_at=now)]
    client.delete(*client.keys(f"{QUEUE}*"))
    publisher.push_many([old, older, *fresh, replace(limited(8, priority=4), enqueued_at=now)])
    order = [numbers(acquire(client, 1, f"w:{turn}:"))[0] for turn in range(5)]
    assert order == [2, 6, 8, 1, 7]


def test_cancelled_messages_in_lanes_are_dropped(client: Any, publisher: Publisher, ledger: Ledger) -> None:
    limit(client, {"key:acme": "1 - -"})
    publisher.push_many(limited(number, "acme") for number in range(1, 4))
    ((tag, _, _),) = acquire(client, 9)
    publisher.fence({message(2).job_id: 2})
    end(client, ledger, tag)
    assert numbers(acquire(client, 9, "w:2:")) == [3]
    assert client.hget(keys.COUNTS, "dropped") == b"1"


def test_a_paused_queue_hands_out_nothing_from_lanes(client: Any, publisher: Publisher, ledger: Ledger) -> None:
    limit(client, {"key:acme": "1 - -"})
    publisher.push_many(limited(number, "acme") for number in range(1, 4))
    ((tag, _, _),) = acquire(client, 9)
    client.hset(keys.PAUSED, f"queue:{QUEUE}", "broken")
    end(client, ledger, tag)
    assert acquire(client, 9, "w:2:") == []
    client.delete(keys.PAUSED)
    assert numbers(acquire(client, 9, "w:3:")) == [2]


def test_what_waits_in_lanes_is_counted_and_is_no_orphan(client: Any, publisher: Publisher) -> None:
    limit(client, {"key:acme": "1 - -"})
    publisher.push_many(replace(limited(number, "acme"), enqueued_at=100.0 + number) for number in range(1, 4))
    publisher.push(replace(limited(9), enqueued_at=500.0))
    acquire(client, 1)
    assert acquire(client, 1, "w:2:", slots=1) != []
    assert waiting(client, QUEUE) == 2
    assert oldest_message(client, QUEUE, 1) == 102.0


@pytest.mark.parametrize("change", ["more", "none"])
def test_a_limit_that_changes_lets_lanes_go_on(client: Any, publisher: Publisher, change: str) -> None:
    limit(client, {"key:acme": "1 - -", "key:other": "1 - -"})
    publisher.push_many(limited(number, "acme") for number in range(1, 5))
    assert numbers(acquire(client, 9)) == [1]
    assert acquire(client, 9, "w:2:") == []
    if change == "more":
        limit(client, {"key:acme": "3 - -"})
    else:
        client.hdel(keys.LIMITS, "key:acme")
    RECOUNT.run(client, [keys.LEASES], [1])
    assert numbers(acquire(client, 9, "w:3:")) == ([2, 3] if change == "more" else [2, 3, 4])


def test_slots_are_counted_anew_from_the_leases(client: Any, publisher: Publisher) -> None:
    publisher.push_many(limited(number, "acme") for number in range(1, 4))
    assert len(acquire(client, 2)) == 2
    limit(client, {"key:acme": "2 - -"})
    assert RECOUNT.run(client, [keys.LEASES], [0]) == 2
    assert acquire(client, 9, "w:2:") == []
    client.hset(keys.SLOTS, "gone:1:001", "1\x1fkey:acme")
    client.hincrby(keys.USED, "key:acme", 1)
    assert RECOUNT.run(client, [keys.LEASES], [0]) == 1
    assert client.hgetall(keys.USED) == {b"key:acme": b"2"}


def test_a_redis_that_lost_its_limits_hands_out_nothing_to_who_knew_them(client: Any, publisher: Publisher) -> None:
    publisher.push(limited(1, "acme"))
    assert acquire(client, 9, "w:1:", knows=True) == []
    limit(client, {"key:acme": "2 - -"})
    assert len(acquire(client, 9, "w:2:", knows=True)) == 1


def test_after_a_start_of_redis_slots_wait_until_every_worker_has_told_what_it_holds(
    client: Any, publisher: Publisher
) -> None:
    limit(client, {"key:acme": "2 - -", "": "another run", "stale": "1000000000"})
    now = clock(client)
    client.hset(keys.WORKERS, mapping={"one": f"{now:.6f} {now:.6f} {{}}", "two": f"{now:.6f} 0.000000 {{}}"})
    publisher.push_many([limited(1, "acme"), limited(2)])
    assert numbers(acquire(client, 9)) == [2]
    client.hset(keys.WORKERS, "two", f"{now:.6f} {now:.6f} {{}}")
    assert numbers(acquire(client, 9, "w:2:")) == [1]
    assert client.hget(keys.LIMITS, "") == client.info("server")["run_id"].encode()
