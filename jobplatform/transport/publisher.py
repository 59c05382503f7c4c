"""Messages pushed onto the queue lists without a kombu producer."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import redis
from kombu.exceptions import OperationalError
from redis.exceptions import NoScriptError

from jobplatform.secrecy.keyring import KeyRing
from jobplatform.transport import census, keys
from jobplatform.transport.keeper import Command, Keeper
from jobplatform.transport.message import NO_KEYS, Message, envelope, signed_again
from jobplatform.transport.scripts import PUSH, PUT_BACK

#: Messages in one LPUSH, so that Redis never works long on one command.
_TOGETHER = 250

#: What a Redis that cannot take a message raises.
UNREACHABLE = (redis.RedisError, OSError, OperationalError)


class MaybePushed(redis.RedisError):
    """Redis may have taken some of the messages: the connection was lost before it answered, or it refused a part."""


class Publisher:
    """Push messages to Redis, and never twice: what is not answered is not sent again.

    :param url: of the broker's Redis.
    :param timeout: seconds for a connection and for each reply.
    :param keep: journal what has no row yet again, should Redis lose it.
    :param ring: signs the messages; an empty one does not.
    """

    def __init__(self, url: str, timeout: float, keep: bool = False, ring: KeyRing = NO_KEYS) -> None:
        self.ring = ring
        self.client: Any = redis.Redis.from_url(url, socket_timeout=timeout, socket_connect_timeout=timeout)
        # What the client does around a command takes longer than the command, so connections are kept out of its pool.
        self._idle: deque[Any] = deque()
        self._keeper = Keeper(self._ask) if keep else None

    def push(self, message: Message, entry: str = "") -> None:
        """Push one message; with a journal entry, both in one step.

        :param entry: the journal entry of a submission whose row is not written yet.
        """
        queue_list = keys.queue_list(message.queue, message.priority)
        names = [queue_list, keys.bell(message.queue), keys.JOURNAL]
        self._push(names, [envelope(message, self.ring), entry], keep=bool(entry))

    def journal(self, entry: str, keep: bool = False) -> None:
        """Write a journal entry alone.

        :param keep: it is a submission's, and must not get lost.
        """
        self._push(["-", "-", keys.JOURNAL], ["", entry], keep)

    def push_raw(self, queue: str, raw: bytes) -> None:
        """Push the bytes of a message as they are, with the lowest priority; where messages are signed, signed anew."""
        raw = signed_again(raw, queue, self.ring) if self.ring else raw
        self._push([keys.queue_list(queue, 1), keys.bell(queue), keys.JOURNAL], [raw, ""], keep=False)

    def journal_raw(self, field: str, raw: bytes) -> None:
        """Write the bytes of a journal entry as they are.

        :param field: the name that it had in the journal, whose first letter says whether its lease was held.
        """
        self.client.xadd(keys.JOURNAL, {field: raw})

    def _push(self, names: list[str], values: list[str | bytes], keep: bool) -> None:
        whole: Command = ("EVAL", PUSH.text, len(names), *names, *values)
        if self._keeper is not None and keep:
            self._keeper.push([whole], again=[("XADD", keys.JOURNAL, "*", "e1", values[1])])
            return
        try:
            self._ask([("EVALSHA", PUSH.sha, len(names), *names, *values)])
        except NoScriptError:
            self._ask([whole])

    def _ask(self, commands: Sequence[Command], extras: int = 0) -> list[Any]:
        """Send commands together and hear all the answers.

        :param extras: how many at the end push nothing.
        :raises MaybePushed: when the connection is lost in between, or a part is refused; a connection that cannot be
            made, and a refusal of everything, raise redis' own error.
        """
        connection = self._connect()
        try:
            connection.send_packed_command(connection.pack_commands(commands))
            replies = [_reply_of(connection) for _ in commands]
        except (redis.RedisError, OSError) as error:
            connection.disconnect()
            raise MaybePushed(f"Redis may have taken it before the connection was lost: {error}") from error
        except BaseException:
            connection.disconnect()
            raise
        finally:
            self._idle.append(connection)
        pushes = replies[: len(replies) - extras]
        refused = [reply for reply in pushes if isinstance(reply, redis.ResponseError)]
        if refused and len(refused) < len(pushes):
            raise MaybePushed(f"Redis refused a part of it: {refused[0]}") from refused[0]
        if refused:
            raise refused[0]
        return replies

    def _connect(self) -> Any:
        if not self._idle:
            return self.client.connection_pool.get_connection()
        connection = self._idle.pop()
        if _is_dead(connection):
            connection.disconnect()
            connection.connect()
        return connection

    def fence(self, attempts: Mapping[str, float]) -> None:
        """Let no message of a job be handed out that is of an attempt before the one given.

        :param attempts: by task id.
        """
        if attempts:
            pairs = [part for task_id, attempt in attempts.items() for part in (task_id, str(attempt))]
            self._ask([("HSET", keys.FENCES, *pairs), ("EXPIRE", keys.FENCES, keys.FENCE_SECONDS)])

    def fence_of(self, task_id: str) -> float:
        """Tell from which attempt on the messages of a job count; 0 when nobody has set it."""
        (fence,) = self._ask([("HGET", keys.FENCES, task_id)])
        return float(fence or 0)

    def push_many(self, messages: Iterable[Message], entries: Iterable[str] = (), first: bool = False) -> int:
        """Push messages in one pipeline, each list's in order; journal entries go first.

        :param first: they are handed out before what waits already.
        :returns: how many were pushed.
        """
        lists: defaultdict[tuple[str, int], list[str]] = defaultdict(list)
        for message in messages:
            lists[message.queue, message.priority].append(envelope(message, self.ring))
        return self.push_texts(lists, entries, first)

    def push_texts(
        self, lists: Mapping[tuple[str, int], Sequence[str]], entries: Iterable[str] = (), first: bool = False
    ) -> int:
        """Push messages that are built already, in one pipeline; journal entries go first.

        :param lists: by queue and priority.
        :param first: they are handed out before what waits already.
        :returns: how many were pushed.
        """
        commands: list[Command] = []
        fields = [part for number, entry in enumerate(entries) for part in (f"e{number}", entry)]
        entries_alone: list[Command] = [("XADD", keys.JOURNAL, "*", *fields)] if fields else []
        commands += entries_alone
        for (queue, priority), texts in lists.items():
            name, starts = keys.queue_list(queue, priority), range(0, len(texts), _TOGETHER)
            push, texts = (("EVAL", PUT_BACK.text, 1), texts[::-1]) if first else (("LPUSH",), texts)
            commands += [(*push, name, *texts[start : start + _TOGETHER]) for start in starts]
        pushes = len(commands)
        for queue in sorted({queue for queue, _ in lists}):
            commands += ring(queue)
        if self._keeper is not None and fields:
            self._keeper.push(commands, again=entries_alone)
        elif commands:
            self._ask(commands, extras=len(commands) - pushes)
        return sum(map(len, lists.values()))

    def time(self) -> float:
        """Ask Redis for its time, in seconds since the epoch."""
        ((seconds, micros),) = self._ask([("TIME",)])
        return int(seconds) + int(micros) / 1e6

    def has_room(self) -> bool:
        """Tell whether more may be published, so that Redis has room for what workers settle; raise when it is away.

        One that evicts makes room by itself, and what it evicts is found by its rows.
        """
        memory = census.memory(self.client)
        return memory.evicts or not memory.is_filling

    def close(self) -> None:
        """Close the connections."""
        if self._keeper is not None:
            self._keeper.close()
        while self._idle:
            self._idle.pop().disconnect()
        self.client.close()


def ring(queue: str) -> list[Command]:
    """Give the commands that wake a worker which waits for a queue."""
    bell = keys.bell(queue)
    return [("LPUSH", bell, "1"), ("LTRIM", bell, 0, 0), ("EXPIRE", bell, 60)]


def _reply_of(connection: Any) -> Any:
    try:
        return connection.read_response()
    except redis.ResponseError as error:
        return error


def _is_dead(connection: Any) -> bool:
    """Tell whether the server has closed a connection, or said what nobody asked for."""
    try:
        return bool(connection.can_read(timeout=0))
    except (redis.RedisError, OSError):
        return True
