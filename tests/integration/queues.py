"""What tests put into Redis, take out of it and find there."""

from __future__ import annotations

import json
from typing import Any

from jobplatform.transport import keys
from jobplatform.transport.message import Message
from jobplatform.transport.scripts import ACQUIRE

QUEUE = "work"


def message(number: int, priority: int = 1) -> Message:
    return Message(f"00000000-0000-7000-8000-{number:012d}", "t.job", '{"args":[1],"kwargs":{}}', QUEUE, priority, 5.0)


def acquire(
    client: Any, count: int, tag: str = "w:1:", limit: int = 1000, slots: int = 100, knows: bool = False
) -> list[tuple[str, str, dict[str, Any]]]:
    lists = [keys.queue_list(QUEUE, step) for step in reversed(keys.PRIORITY_STEPS)]
    names = [keys.LEASES, keys.LEASE_TIMES, keys.JOURNAL, keys.FENCES, keys.COUNTS, keys.PAUSED, *lists]
    reply = ACQUIRE.run(client, names, [count, tag, keys.SEPARATOR, limit, slots, int(knows)])
    if reply in (b"FULL", "FULL"):
        raise OverflowError("FULL")
    if len(reply) % 3:
        assert reply.pop().split()[0] in (b"limited", b"lost", b"busy")
    triples = zip(*[iter(reply)] * 3, strict=True)
    return [(taken.decode(), queue.decode(), json.loads(raw)) for taken, queue, raw in triples]


def journal(client: Any) -> list[tuple[str, str]]:
    return [
        (name.decode(), text.decode()) for _, fields in client.xrange(keys.JOURNAL) for name, text in fields.items()
    ]


def silence(client: Any, tag: str) -> None:
    """Make a lease look as if nobody had renewed it for long."""
    client.zadd(keys.LEASE_TIMES, {tag: 1.0}, xx=True)


def places(client: Any) -> tuple[int, int, int]:
    queued = sum(client.llen(keys.queue_list(QUEUE, step)) for step in keys.PRIORITY_STEPS)
    return queued, client.hlen(keys.LEASES), client.xlen(keys.JOURNAL)


class Forgetful:
    """A client whose replies get lost after the server did its work."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def execute_command(self, *args: Any) -> Any:
        self.client.execute_command(*args)
        raise ConnectionError("the reply got lost")
