"""Whether the stores answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from redis.exceptions import RedisError

from jobplatform.store import leadership
from jobplatform.store.database import UNREACHABLE, Database


def stores_away(database: Database, client: Any) -> Iterator[str]:
    """Say which stores do not answer.

    :param client: a Redis client.
    """
    try:
        database.once(leadership.probe)
    except UNREACHABLE:
        yield "PostgreSQL does not answer; see: jobplatform doctor"
    try:
        client.ping()
    except (RedisError, OSError):
        yield "Redis does not answer; see: jobplatform doctor"
