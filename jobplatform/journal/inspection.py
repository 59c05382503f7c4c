"""What a person needs to know of the Redis that carries the work: read once, judged elsewhere."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kombu.exceptions import OperationalError
from redis import Redis, exceptions
from redis.backoff import NoBackoff
from redis.retry import Retry

#: What a Redis or broker that cannot be reached raises.
UNREACHABLE = (exceptions.ConnectionError, exceptions.TimeoutError, OperationalError)
#: What reading can raise: not reachable, or a command is forbidden to this user.
UNREADABLE = (*UNREACHABLE, exceptions.ResponseError)


@dataclass(frozen=True, slots=True)
class RedisReading:
    """The state of a Redis server at one moment; None stands for what it would not tell.

    ``memory_limit`` is in bytes, the machine's memory when no maxmemory is set; ``clock_skew`` is in seconds,
    positive when Redis is ahead of this machine.
    """

    version: tuple[int, ...]
    eviction_policy: str | None
    appendonly: bool | None
    memory_used: int
    memory_limit: int
    clock_skew: float
    controller_alive: bool


def read_redis(url: str, timeout: float, controller_key: str) -> RedisReading:
    """Read the state of a Redis server.

    :param timeout: the longest wait for the connection and for each reply, in seconds.
    :param controller_key: the key that a live controller keeps.
    :raises UNREADABLE: one of these errors, when it cannot be reached or refuses to tell.
    """
    once = Retry(NoBackoff(), 0)
    client = Redis.from_url(url, socket_timeout=timeout, socket_connect_timeout=timeout, retry=once)
    try:
        # INFO tells the policy too, and unlike CONFIG is not forbidden on managed servers.
        facts: Mapping[str, Any] = client.info()
        asked = time.time()
        seconds, microseconds = client.time()
        skew = seconds + microseconds / 1e6 - (asked + time.time()) / 2
        controller_alive = bool(client.exists(controller_key))
    finally:
        client.close()
    return RedisReading(
        version=tuple(int(part) for part in re.findall(r"\d+", str(facts.get("redis_version", "")))[:3]),
        eviction_policy=facts.get("maxmemory_policy"),
        appendonly=bool(facts["aof_enabled"]) if "aof_enabled" in facts else None,
        memory_used=int(facts.get("used_memory", 0)),
        memory_limit=int(facts.get("maxmemory") or facts.get("total_system_memory") or 0),
        clock_skew=skew,
        controller_alive=controller_alive,
    )
