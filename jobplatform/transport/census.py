"""What is where in Redis: the oldest message of a list, the jobs that are leased, how far the journal is."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from jobplatform.records import job_id_of
from jobplatform.transport import keys, lanes

_AT = re.compile(rb'"jp_at": ?([0-9]+(?:\.[0-9]+)?)')
#: From this share of its memory on, Redis counts as filling up.
_FILLING = 0.7
_ID = re.compile(rb'"correlation_id": ?"([^"]+)"')


def oldest_message(client: Any, queue: str, priority: int, among: int = 1) -> float | None:
    """Tell when the oldest message of a list was enqueued, in seconds since the epoch.

    :param among: so many from the head are looked at, where messages that were given back may lie in any order.
    :returns: infinity when the list is empty, None when no message says.
    """
    name = keys.queue_list(queue, priority)
    messages = client.lrange(name, -among, -1)
    times = [float(found.group(1)) for raw in messages if (found := _AT.search(raw))]
    times += [at for _, at in client.zrange(keys.lanes(name), 0, 0, withscores=True)]
    return min(times, default=None if messages else float("inf"))


def waiting(client: Any, queue: str) -> int:
    """Count the messages that wait in a queue, those that limits hold back among them."""
    lists = sum(int(client.llen(keys.queue_list(queue, priority))) for priority in range(1, 6))
    return lists + lanes.count(client, queue)


class Backlog(NamedTuple):
    """What is in a queue.

    :param listed: messages that can be handed out.
    :param held: messages that limits hold back.
    :param oldest: for how many seconds the oldest message that can be handed out has waited.
    :param taken: messages that were ever handed out, as far as Redis knows.
    :param put_back: how many of these came back.
    """

    listed: int
    held: int
    oldest: float
    taken: int
    put_back: int

    @property
    def depth(self) -> int:
        """All that waits."""
        return self.listed + self.held


def backlog(client: Any, queues: Sequence[str]) -> dict[str, Backlog]:
    """Look at queues, all of them in one round trip unless limits hold messages back."""
    if not queues:
        return {}
    with client.pipeline(transaction=False) as pipe:
        pipe.time()
        pipe.hmget(keys.COUNTS, [f"{word}:{queue}" for queue in queues for word in ("taken", "back")])
        for name in (keys.queue_list(queue, priority) for queue in queues for priority in range(1, 6)):
            pipe.llen(name)
            pipe.lindex(name, -1)
        (seconds, micros), counts, *found = pipe.execute()
    held = has_lanes(client)
    now, looks = seconds + micros / 1e6, {}
    for place, queue in enumerate(queues):
        lengths, heads = found[10 * place : 10 * place + 10 : 2], found[10 * place + 1 : 10 * place + 10 : 2]
        times = [float(said.group(1)) for raw in heads if raw and (said := _AT.search(raw))]
        taken, put_back = (int(count or 0) for count in counts[2 * place : 2 * place + 2])
        oldest = max(0.0, now - min(times, default=now))
        looks[queue] = Backlog(sum(lengths), lanes.count(client, queue) if held else 0, oldest, taken, put_back)
    return looks


def has_lanes(client: Any) -> bool:
    """Tell whether limits or a fair order let messages wait in lanes."""
    return any(client.exists(keys.lanes(name.decode())) for name in client.smembers(keys.LANE_LISTS))


def holds_anything(client: Any) -> bool:
    """Tell whether Redis holds messages, leases or news of jobs."""
    if client.exists(keys.LEASES, keys.STARTS) or client.xlen(keys.JOURNAL) or has_lanes(client):
        return True
    lists = (name for name in client.scan_iter(count=1_000, _type="list") if not name.startswith(b"jp:bell:"))
    return any(not name.endswith(b".pidbox") for name in lists)


def jobs_near_head(client: Any, queue: str, priority: int, among: int) -> set[str]:
    """Name the jobs whose messages are the next of a list to be handed out."""
    found = (_ID.search(raw) for raw in client.lrange(keys.queue_list(queue, priority), -among, -1))
    return {job_id_of(match.group(1).decode(errors="replace")) for match in found if match}


def leased_jobs(client: Any) -> set[str]:
    """Name the jobs whose messages workers hold."""
    found = (_ID.search(lease) for lease in client.hvals(keys.LEASES))
    return {job_id_of(match.group(1).decode(errors="replace")) for match in found if match}


def leases_of(client: Any, node: str) -> int:
    """Count the messages that a worker holds."""
    return sum(1 for _ in client.hscan_iter(keys.LEASES, match=f"{node}:*", count=1_000))


def begun_jobs(client: Any) -> set[str]:
    """Name the jobs that run under a lease."""
    return {json.loads(start)["j"] for start in client.hvals(keys.STARTS)}


class Heartbeat(NamedTuple):
    """What a worker said last: when, until when Redis knows all that it did, both since the epoch, and its report."""

    at: float
    known: float
    report: dict[str, Any]


def heartbeats(client: Any) -> dict[str, Heartbeat]:
    """Read the last heartbeat of every worker, by node."""
    found = {}
    for node, value in client.hgetall(keys.WORKERS).items():
        at, known, report = value.decode().split(" ", 2)
        found[node.decode()] = Heartbeat(float(at), float(known), json.loads(report))
    return found


class Memory(NamedTuple):
    """How many bytes Redis uses and may use, 0 for all there are; and whether it evicts rather than refuses."""

    used: int
    most: int
    evicts: bool

    @property
    def is_filling(self) -> bool:
        """Whether it is time to tell people, and to leave the rest to those who settle jobs."""
        return bool(self.most) and self.used > self.most * _FILLING


def memory(client: Any) -> Memory:
    """Read how full Redis is."""
    facts = client.info("memory")
    evicts = facts.get("maxmemory_policy", "noeviction") != "noeviction"
    return Memory(int(facts["used_memory"]), int(facts.get("maxmemory") or 0), evicts)


def clock(client: Any) -> float:
    """Read the clock of Redis, in seconds since the epoch."""
    seconds, micros = client.time()
    return float(seconds + micros / 1e6)


def journal_end(client: Any) -> tuple[int, int]:
    """Give the id of the newest entry that the journal ever had."""
    newest = client.xrevrange(keys.JOURNAL, count=1)
    return _stream_id(newest[0][0]) if newest else (0, 0)


def journal_start(client: Any) -> tuple[int, int] | None:
    """Give the id of the oldest entry that is not mirrored, None when there is none."""
    oldest = client.xrange(keys.JOURNAL, count=1)
    return _stream_id(oldest[0][0]) if oldest else None


def _stream_id(raw: bytes) -> tuple[int, int]:
    milliseconds, _, number = raw.decode().partition("-")
    return int(milliseconds), int(number)


def used_slots(client: Any) -> dict[str, int]:
    """Count the units that are held, by the name of their limit."""
    return {name.decode(): int(units) for name, units in client.hgetall(keys.USED).items()}


def blocked_lanes(client: Any, names: list[str]) -> dict[str, int]:
    """Count the lanes that wait for a slot of each of some limits."""
    with client.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.zcard(keys.blocked(name))
        return dict(zip(names, pipe.execute(), strict=True))
