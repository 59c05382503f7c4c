"""Submissions without a row: journalled again when Redis loses them."""

from __future__ import annotations

from typing import Any

import pytest
from queues import QUEUE, journal, message

from jobplatform.devstack.stack import DevStack
from jobplatform.transport import keys
from jobplatform.transport.keeper import Command, Keeper
from jobplatform.transport.publisher import Publisher


def journalling(text: str) -> list[Command]:
    return [("XADD", keys.JOURNAL, "*", "e1", text)]


def test_what_has_no_row_yet_is_journalled_again_when_redis_loses_it(client: Any) -> None:
    clock = [100.0]

    def ask(commands: Any) -> list[Any]:
        return [client.execute_command(*command) for command in commands]

    keeper = Keeper(ask, lambda: clock[0], watch=False)
    keeper.push([("SET", "message", "1"), *journalling("first")], again=journalling("first"))
    keeper.look()
    assert [text for _, text in journal(client)] == ["first"]
    keeper.push(journalling("second"), again=journalling("second"))
    client.flushdb()
    keeper.look()
    assert [text for _, text in journal(client)] == ["first", "second"]
    assert (len(keeper), keeper.repeated) == (2, 2)
    assert not client.exists("message")
    clock[0] += 3.0
    keeper.look()
    client.flushdb()
    keeper.look()
    assert (len(keeper), journal(client)) == (0, [])


def test_a_push_notices_that_redis_lost_the_one_before(client: Any) -> None:
    def ask(commands: Any) -> list[Any]:
        return [client.execute_command(*command) for command in commands]

    keeper = Keeper(ask, lambda: 100.0, watch=False)
    for text in ("first", "second", "third"):
        keeper.push(journalling(text), again=journalling(text))
        if text == "second":
            client.flushdb()
    assert [text for _, text in journal(client)] == ["third", "first", "second"]
    keeper.look()
    assert (len(keeper), keeper.repeated, client.xlen(keys.JOURNAL)) == (3, 2, 3)


def test_what_could_not_be_pushed_again_is_kept(client: Any) -> None:
    down = list[str]()

    def ask(commands: Any) -> list[Any]:
        if down and commands[0][0] == "XADD":
            raise ConnectionError(down[0])
        return [client.execute_command(*command) for command in commands]

    keeper = Keeper(ask, lambda: 100.0, watch=False)
    for text in ("first", "second"):
        keeper.push(journalling(text), again=journalling(text))
    client.flushdb()
    down.append("away")
    with pytest.raises(ConnectionError):
        keeper.look()
    assert len(keeper) == 2
    down.clear()
    keeper.look()
    assert [text for _, text in journal(client)] == ["first", "second"]


@pytest.mark.parametrize("many", [False, True], ids=["alone", "together"])
def test_a_thread_looks_after_what_has_no_row_yet(stack: DevStack, client: Any, many: bool) -> None:
    publisher = Publisher(stack.redis_url, 5.0, keep=True)
    if many:
        publisher.push_many([message(1)], ["entry"])
    else:
        publisher.push(message(1), "entry")
    client.flushdb()
    assert client.xread({keys.JOURNAL: "0"}, block=4_000)
    assert client.llen(QUEUE) == 0, "the job may have run already"
    publisher.close()
