"""A kombu Redis channel that takes messages and their leases in one step."""

from __future__ import annotations

import itertools
import json
import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty
from typing import Any, ClassVar

from kombu.exceptions import ContentDisallowed, DecodeError
from kombu.transport import redis as stock
from kombu.utils.encoding import bytes_to_str
from redis.exceptions import NoScriptError, ResponseError

from jobplatform.errors import SettingsError
from jobplatform.secrecy.keyring import KeyRing
from jobplatform.transport import keys, lanes
from jobplatform.transport.committers import committer_of
from jobplatform.transport.message import NO_KEYS, sign_envelope
from jobplatform.transport.packed import Message
from jobplatform.transport.qos import QoS
from jobplatform.transport.scripts import ACQUIRE, PUSH

logger = logging.getLogger(__name__)

#: The header under which a submission that has no row yet travels from the publisher to the push script.
SUBMITTED_HEADER = "jp_submitted"
#: The most messages that one acquire takes.
_MOST = 100
#: So long messages wait for limits that Redis has lost, in seconds.
_HOPE_SECONDS = 60.0
#: How the tags of messages end that are to be parked.
_TO_PARK = "p"


#: What a hostile message makes the code that reads it raise.
UNREADABLE = (
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    RecursionError,
    OverflowError,
    DecodeError,
    ContentDisallowed,
)


class Channel(stock.Channel):  # type: ignore[misc]
    """Replace the pop-then-write of the stock channel by one script, and its blocking pop by a doorbell."""

    QoS = QoS
    Message = Message
    priority_steps = keys.PRIORITY_STEPS
    visibility_timeout = 60
    journal_limit = 100_000
    idle_poll_seconds = 0.5
    leasing = False
    #: Writes the journal entry of a message that cannot be read: (queue, raw bytes, problem) -> text.
    describe_unreadable: Callable[[str, bytes, str], str] = staticmethod(lambda queue, raw, problem: "")
    #: Writes the journal entry of a message whose job type is paused.
    describe_parked: Callable[[Any], str] = staticmethod(lambda message: "")
    from_transport_options = (*stock.Channel.from_transport_options, "journal_limit", "idle_poll_seconds")

    #: Signs the task messages that Celery publishes; an empty one does not.
    ring: KeyRing = NO_KEYS
    #: Times to live of queues; kombu before 5.7 knows none.
    _expires: ClassVar[dict[str, int]] = {}
    #: The queue and the bytes of the message that is being delivered.
    delivering: tuple[str, bytes] | None = None
    _sync_client: Any = None
    _waiting_for_bell = False
    #: Whether Redis knew limits when it was asked last, and how long to wait where they hold something back.
    _limited = False
    _pause_seconds = math.inf
    #: Since when Redis has lost the limits, in monotonic seconds; None while it has not.
    _lost_at: float | None = None
    _tags = itertools.count(1)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.global_keyprefix:
            raise SettingsError(
                "broker_transport_options.global_keyprefix: the platform's scripts name keys without a prefix; "
                "remove it and give the platform a Redis database of its own"
            )
        self.committer = committer_of(self._connparams(), self.connection.client.transport_options)
        self.ledger = self.committer.ledger

    @contextmanager
    def conn_or_acquire(self, client: Any = None) -> Iterator[Any]:
        """Lend the one synchronous client of this channel; the stock channel makes one for every command."""
        if client is None:
            if self._sync_client is None:
                self._sync_client = self._create_client()
            client = self._sync_client
        yield client

    def _disconnect_pools(self) -> None:
        self._sync_client = None
        super()._disconnect_pools()

    def _queue_bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:
        with self._unless_full(f"queue {queue} is bound"):
            super()._queue_bind(exchange, routing_key, pattern, queue)

    def _delete(self, queue: str, *args: Any, **kwargs: Any) -> None:
        with self._unless_full(f"queue {queue} is deleted"):
            super()._delete(queue, *args, **kwargs)

    @contextmanager
    def _unless_full(self, what: str) -> Iterator[None]:
        """Do without something when Redis is full: a worker that ended over it would empty no queue."""
        try:
            yield
        except ResponseError as error:
            if "maxmemory" not in str(error):
                raise
            self.ledger.counts["refused_as_full"] += 1
            logger.warning("Redis is full and does not note that %s: %s", what, error)

    def _size(self, queue: str) -> int:
        # Without a transaction, in which a Redis that is full refuses even to count.
        with self.conn_or_acquire() as client, client.pipeline(transaction=False) as pipe:
            for step in self.priority_steps:
                pipe.llen(self._q_for_pri(queue, step))
            listed: int = sum(pipe.execute())
            return listed + lanes.count(client, queue)

    def _purge(self, queue: str) -> int:
        with self.conn_or_acquire() as client:
            return int(super()._purge(queue)) + lanes.purge(client, queue)

    def _put(self, queue: str, message: dict[str, Any], **kwargs: Any) -> None:
        entry = message["headers"].pop(SUBMITTED_HEADER, "") if message.get("headers") else ""
        if queue in self._expires and not entry:
            super()._put(queue, message, **kwargs)
            return
        if self.ring:
            sign_envelope(message, queue, self.ring)
        queue_list = self._q_for_pri(queue, self._get_message_priority(message, reverse=False))
        script_keys = [queue_list, keys.bell(queue), keys.JOURNAL]
        script_args = [json.dumps(message), entry]
        batch = kwargs.get("_publish_batch")
        if batch is not None:
            batch.add("eval", PUSH.text, len(script_keys), *script_keys, *script_args)
            return
        with self.conn_or_acquire() as client:
            PUSH.run(client, script_keys, script_args)

    def _brpop_start(self, timeout: float | None = None) -> None:
        queues = self._queue_cycle.consume(len(self.active_queues))
        if not queues:
            return
        connection = self.client.connection
        self._in_poll = connection
        self._brpop_sent_at = time.monotonic()
        if self._waiting_for_bell:
            patience = min(self.idle_poll_seconds, self._pause_seconds)
            connection.send_command("BRPOP", *map(keys.bell, queues), patience)
            return
        lists = [self._q_for_pri(queue, step) for step in reversed(self.priority_steps) for queue in queues]
        wanted = min(self.qos.can_consume_max_estimate() or _MOST, _MOST)
        prefix = f"{self.ledger.node}:{next(self._tags)}:"
        names = [keys.LEASES, keys.LEASE_TIMES, keys.JOURNAL, keys.FENCES, keys.COUNTS, keys.PAUSED, *lists]
        asked = [wanted, prefix, keys.SEPARATOR, self.journal_limit, self.qos.slots(), int(self._limited)]
        connection.send_command("EVALSHA", ACQUIRE.sha, len(names), *names, *asked)

    def _brpop_read(self, **options: Any) -> bool:
        rung = self._waiting_for_bell
        self._waiting_for_bell = False
        reply = self._read_reply("BRPOP" if rung else "EVALSHA", **options)
        if rung:
            raise Empty
        if reply in (b"FULL", "FULL"):
            reply = []
        busy = self._hear_limits(reply)
        if reply:
            self._deliver_leased(reply)
        if busy:
            self.qos.await_end()
        elif not reply:
            self._waiting_for_bell = True
        if not reply:
            raise Empty
        return True

    def _hear_limits(self, reply: list[Any]) -> bool:
        """Hear at the end of a reply that there are limits, and in how many seconds it is worth asking again.

        :returns: whether no more slots may be held until a job of this worker has ended.
        """
        self._limited, self._pause_seconds = False, math.inf
        if len(reply) % 3 == 0:
            return False
        word, seconds = bytes_to_str(reply.pop()).split()
        self._pause_seconds = float(seconds)
        if word == "lost":
            self._limited = self._hopes()
        else:
            self._limited, self._lost_at = True, None
        return bool(word == "busy")

    def _hopes(self) -> bool:
        """Tell whether to wait for a Redis that has lost the limits to be told again: not for ever."""
        now = self.ledger.clock()
        if self._lost_at is None:
            self._lost_at = now
        if now - self._lost_at < _HOPE_SECONDS:
            return True
        self._lost_at = None
        logger.error(
            "Redis has lost the limits, and nobody tells it again: jobs begin without any; see that a controller runs"
        )
        return False

    def _receive_one(self, pubsub: Any) -> bool:
        try:
            return bool(super()._receive_one(pubsub))
        except UNREADABLE as error:
            if pubsub.connection is None:
                raise
            self.ledger.counts["broadcasts_refused"] += 1
            logger.error("a broadcast cannot be read and is dropped: %s: %s", type(error).__name__, error)
            return False

    def _read_reply(self, command: str, **options: Any) -> Any:
        try:
            return self.client.parse_response(self.client.connection, command, **options)
        except NoScriptError:
            with self.conn_or_acquire() as client:
                client.script_load(ACQUIRE.text)
            raise Empty from None
        except ResponseError as error:
            self.ledger.counts["acquires_refused"] += 1
            logger.warning(
                "Redis refused to hand out messages; asking again in %s s: %s", self.idle_poll_seconds, error
            )
            self._waiting_for_bell = True
            raise Empty from error
        except self.connection_errors:
            self.client.connection.disconnect()
            raise
        finally:
            self._in_poll = None
            if hasattr(self, "_flush_brpop_reauth"):
                self._flush_brpop_reauth()

    def _deliver_leased(self, reply: list[Any]) -> None:
        leases = [
            (bytes_to_str(tag), bytes_to_str(queue_list), raw)
            for tag, queue_list, raw in zip(*[iter(reply)] * 3, strict=True)
        ]
        for tag, queue_list, raw in leases:
            self.ledger.hold(tag, queue_list, raw)
        if self._closing or not self.committer.takes:
            self.ledger.give_back([tag for tag, _, _ in leases])
            self.committer.commit()
            return
        self._queue_cycle.rotate(keys.queue_of(leases[-1][1]))
        self.leasing = True
        try:
            for tag, queue_list, raw in leases:
                if self.ledger.open(tag):
                    self._deliver_one(tag, keys.queue_of(queue_list), raw)
        finally:
            self.leasing = False

    def _deliver_one(self, tag: str, queue: str, raw: bytes) -> None:
        self.delivering = queue, raw
        try:
            message = json.loads(raw)
            message["properties"]["delivery_tag"] = tag
            if tag.endswith(_TO_PARK):
                self._park(tag, message, queue)
            else:
                self.connection._deliver(message, queue)
        except UNREADABLE as error:
            logger.error("a message in queue %s cannot be read and is quarantined: %s", queue, error)
            self.ledger.counts["unreadable"] += 1
            self.ledger.outcome(tag, self.describe_unreadable(queue, bytes(raw), f"{type(error).__name__}: {error}"))
            self.qos._delivered.pop(tag, None)
            self.ledger.settle(tag)
            return
        finally:
            self.delivering = None
        if tag not in self.qos._delivered and tag in self.ledger.held:
            self.ledger.settle(tag)

    def _park(self, tag: str, message: dict[str, Any], queue: str) -> None:
        message["properties"].setdefault("delivery_info", {})["routing_key"] = queue
        self.ledger.outcome(tag, self.describe_parked(self.message_to_python(message)))
        self.ledger.counts["parked"] += 1
