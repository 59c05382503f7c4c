"""Entries written to the journal one by one: progress, and all news under a broker that is not our transport."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

logger = logging.getLogger(__name__)

JOURNAL = "jp:journal"


def connect(url: str, timeout: float = 5.0, retries: int = 0, **options: Any) -> Any:
    """Open a Redis client of the journal.

    :param timeout: seconds for a connection and for each reply.
    :param retries: how often a failed command is sent again.
    """
    return redis.Redis.from_url(
        url,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        retry=Retry(ExponentialBackoff(cap=1.0, base=0.05), retries),
        **options,
    )


class DirectSink:
    """Journal, then acknowledge: what a worker uses when its broker keeps no leases of ours.

    Entries that cannot be written are kept in order and written with the next one.

    :param client: a Redis client of the journal.
    :param result_seconds: how long a result stays fresh.
    """

    def __init__(self, client: Any, result_seconds: int) -> None:
        self.client = client
        self.result_seconds = result_seconds
        self.waiting: list[tuple[str, str, str]] = []

    def engage(self, tag: str) -> bool:
        """Do nothing: what such a broker has handed out is not recalled."""
        return True

    def start(self, tag: str, entry: Callable[[], str]) -> bool:
        """Journal a start."""
        self._write(entry())
        return True

    def note(self, text: str) -> None:
        """Journal an entry that settles no message."""
        self._write(text)

    def outcome(self, tag: str, text: str, result_key: str = "", result: str = "") -> None:
        """Journal an outcome; the caller acknowledges the message after this returned."""
        self._write(text, result_key, result)

    def flush(self) -> bool:
        """Write what is waiting; returns whether nothing is left."""
        try:
            while self.waiting:
                text, key, result = self.waiting[0]
                with self.client.pipeline(transaction=True) as pipe:
                    pipe.xadd(JOURNAL, {"e1": text})
                    if key:
                        pipe.set(key, result, ex=self.result_seconds)
                        pipe.publish(key, result)
                    pipe.execute()
                del self.waiting[0]
        except (redis.RedisError, OSError) as error:
            logger.warning("%d journal entries wait for Redis: %s", len(self.waiting), error)
            return False
        return True

    def _write(self, text: str, key: str = "", result: str = "") -> None:
        self.waiting.append((text, key, result))
        self.flush()
