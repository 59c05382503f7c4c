"""Messages published through kombu, for brokers that are not our Redis transport."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kombu import Queue

from jobplatform.secrecy.keyring import KeyRing
from jobplatform.transport.message import NO_KEYS, Message, envelope


class BrokerPublisher:
    """Publish messages on any broker that kombu speaks to.

    :param connect: opens a kombu connection.
    :param ring: signs the messages; an empty one does not.
    """

    def __init__(self, connect: Callable[[], Any], ring: KeyRing = NO_KEYS) -> None:
        self.ring = ring
        self.connect = connect
        self._connection: Any = None

    def has_room(self) -> bool:
        """Say yes, as no broker tells how full it is; raise when it cannot be reached."""
        if self._connection is None or not self._connection.connected:
            self.close()
            self._connection = self.connect()
            self._connection.ensure_connection(max_retries=1, timeout=3)
        return True

    def fence(self, attempts: Mapping[str, float]) -> None:
        """Do nothing: a broker that is not ours hands out every message."""

    def push_many(self, messages: Iterable[Message], first: bool = False) -> int:
        """Publish messages one by one; each queue is declared if it is missing.

        :returns: how many were published.
        """
        self.has_room()
        count = 0
        with self._connection.Producer() as producer:
            for message in messages:
                _publish(producer, json.loads(envelope(message, self.ring)), message.queue)
                count += 1
        return count

    def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.release()


def _publish(producer: Any, value: dict[str, Any], queue: str) -> None:
    properties = value["properties"]
    encoded = properties.get("body_encoding") == "base64"
    producer.publish(
        base64.b64decode(value["body"]) if encoded else value["body"],
        exchange="",
        routing_key=queue,
        declare=[Queue(queue)],
        content_type=value["content-type"],
        content_encoding=value["content-encoding"],
        headers=value["headers"],
        correlation_id=properties["correlation_id"],
        reply_to=properties.get("reply_to"),
        priority=properties["priority"],
    )
