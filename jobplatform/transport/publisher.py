"""Messages pushed onto the queue lists without a kombu producer."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import redis
from kombu.exceptions import OperationalError

from jobplatform.transport import keys
from jobplatform.transport.message import Message, envelope
from jobplatform.transport.scripts import PUSH

#: Messages in one LPUSH, so that Redis never works long on one command.
_TOGETHER = 250

#: What a Redis that cannot take a message raises.
UNREACHABLE = (redis.RedisError, OSError, OperationalError)


class Publisher:
    """Push messages to Redis.

    :param url: of the broker's Redis.
    :param timeout: seconds for a connection and for each reply.
    """

    def __init__(self, url: str, timeout: float) -> None:
        self.client: Any = redis.Redis.from_url(url, socket_timeout=timeout, socket_connect_timeout=timeout)
        self._idle: deque[Any] = deque()

    def push(self, message: Message, entry: str = "") -> None:
        """Push one message; with a journal entry, both in one step.

        :param entry: the journal entry of a submission whose row is not written yet.
        """
        queue_list = keys.queue_list(message.queue, message.priority)
        self._push([queue_list, keys.bell(message.queue), keys.JOURNAL], [envelope(message), entry])

    def journal(self, entry: str) -> None:
        """Write a journal entry alone."""
        self._push(["-", "-", keys.JOURNAL], ["", entry])

    def _push(self, names: list[str], values: list[str]) -> None:
        # What the client does around a command takes longer than the command, so connections are kept out of its
        # pool. One that turns out to be dead, or a server without the script, leaves the push to the client.
        connection = self._idle.pop() if self._idle else self.client.connection_pool.get_connection()
        try:
            connection.send_command("EVALSHA", PUSH.sha, len(names), *names, *values)
            connection.read_response()
        except redis.ResponseError:
            PUSH.run(self.client, names, values)
        except (redis.RedisError, OSError):
            connection.disconnect()
            PUSH.run(self.client, names, values)
        except BaseException:
            connection.disconnect()
            raise
        finally:
            self._idle.append(connection)

    def push_many(self, messages: Iterable[Message], entries: Iterable[str] = ()) -> int:
        """Push messages in one pipeline, each list's in order; journal entries go first.

        :returns: how many were pushed.
        """
        lists: defaultdict[tuple[str, int], list[str]] = defaultdict(list)
        for message in messages:
            lists[message.queue, message.priority].append(envelope(message))
        return self.push_texts(lists, entries)

    def push_texts(self, lists: Mapping[tuple[str, int], Sequence[str]], entries: Iterable[str] = ()) -> int:
        """Push messages that are built already, in one pipeline; journal entries go first.

        :param lists: by queue and priority.
        :returns: how many were pushed.
        """
        with self.client.pipeline(transaction=False) as pipe:
            fields = {f"e{number}": entry for number, entry in enumerate(entries)}
            if fields:
                pipe.xadd(keys.JOURNAL, fields)
            for (queue, priority), texts in lists.items():
                for start in range(0, len(texts), _TOGETHER):
                    pipe.lpush(keys.queue_list(queue, priority), *texts[start : start + _TOGETHER])
            for queue in sorted({queue for queue, _ in lists}):
                pipe.lpush(keys.bell(queue), "1")
                pipe.ltrim(keys.bell(queue), 0, 0)
                pipe.expire(keys.bell(queue), 60)
            pipe.execute()
        return sum(map(len, lists.values()))

    def ping(self) -> None:
        """Raise when Redis cannot be reached."""
        self.client.ping()

    def close(self) -> None:
        """Close the connections."""
        while self._idle:
            self._idle.pop().disconnect()
        self.client.close()
