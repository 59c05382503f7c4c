"""Messages that a worker can make no job of: nothing of them is dropped, and none of them ends the worker."""

from __future__ import annotations

import logging
import os
import time
from typing import Any

from celery import signals
from celery.exceptions import InvalidTaskError
from celery.utils.imports import symbol_by_name
from celery.worker.strategy import hybrid_to_proto2, proto1_to_proto2
from kombu.exceptions import ContentDisallowed, DecodeError

from jobplatform.journal import entry
from jobplatform.journal.entry import Kind
from jobplatform.journal.foreign import ForeignMessage
from jobplatform.journal.inbound import (
    ATTEMPT_HEADER,
    ENQUEUED_HEADER,
    UNREADABLE,
    check_body,
    check_headers,
    check_signature,
    is_signed,
    named,
    queue_of,
    raw_of,
    size_of,
)
from jobplatform.journal.recording import Recording, sink_of
from jobplatform.records import job_id_of

logger = logging.getLogger(__name__)

#: So many unknown job types are remembered, so that each is warned of once.
_REMEMBERED = 1_000
#: Between two lines on messages that are not signed, in seconds.
_QUIET_SECONDS = 60.0


def refusing(consumer: Any) -> Any:
    """Make a consumer class that journals what it refuses.

    :param consumer: the class that the worker would use, or its name.
    """
    return type("JobConsumer", (RefusingConsumer, symbol_by_name(consumer)), {})


class RefusingConsumer:
    """The part of a Celery consumer that says no: to quarantine what is no task, and to park what no task is for."""

    connection_errors: tuple[type[Exception], ...]
    event_dispatcher: Any
    _unknown: set[str]
    _refused: int
    _told_at: float

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """Quarantine a message whose body cannot be read."""
        self._quarantine(message, f"{type(exc).__name__}: {exc}")

    def on_unknown_message(self, body: Any, message: Any) -> None:
        """Quarantine a message that is no task message."""
        self._quarantine(message, "it is no task message")

    def on_invalid_task(self, body: Any, message: Any, exc: Exception) -> None:
        """Quarantine a message of a task that cannot be called as it asks for."""
        self._quarantine(message, str(exc))

    def on_unknown_task(self, body: Any, message: Any, exc: Exception) -> None:
        """Park a message whose job type this worker does not know."""
        try:
            name, job_id, text = parked(message, "unroutable: no worker knows the job type {!r}")
        except (*UNREADABLE, InvalidTaskError, DecodeError, ContentDisallowed) as error:
            self._quarantine(message, str(error))
            return
        self._warn_once(name)
        sink_of(message).outcome(message.delivery_tag, text)
        message.reject_log_error(logger, self.connection_errors)
        signals.task_unknown.send(sender=self, message=message, exc=exc, name=name, id=job_id)

    def _warn_once(self, name: str) -> None:
        self._unknown = getattr(self, "_unknown", set())
        if name not in self._unknown and len(self._unknown) < _REMEMBERED:
            self._unknown.add(name)
            logger.warning(
                "no module of this worker defines the job type %r; its jobs are parked for one that does", name
            )

    def _tell_unsigned(self, queue: str, problem: str) -> None:
        """Log that messages are refused, once a minute: whoever can forge one can forge thousands."""
        self._refused = getattr(self, "_refused", 0) + 1
        now = time.monotonic()
        if now < getattr(self, "_told_at", -_QUIET_SECONDS) + _QUIET_SECONDS:
            return
        logger.error(
            "%d messages are refused and quarantined, the last one in queue %s: %s; see that every process that "
            "publishes has JOBPLATFORM_SIGNING_KEYS", self._refused, queue, problem[:500],
        )  # fmt: skip
        self._told_at, self._refused = now, 0

    def _quarantine(self, message: Any, problem: str) -> None:
        queue = queue_of(message)
        trusted = is_signed(message)
        committer = getattr(message.channel, "committer", None)
        if committer is not None:
            committer.ledger.counts["unreadable" if trusted else "unsigned"] += 1
        if trusted:
            logger.error("a message in queue %s cannot be read and is quarantined: %s", queue, problem[:500])
        else:
            self._tell_unsigned(queue, problem)
        job = named(message.headers)
        text = entry.unreadable(queue, raw_of(message), problem, Recording.clock(), job, parked=not trusted)
        sink_of(message).outcome(message.delivery_tag, text)
        message.reject_log_error(logger, self.connection_errors)
        signals.task_rejected.send(sender=self, message=message, exc=InvalidTaskError(problem))


def describe_paused(message: Any) -> str:
    """Write the journal entry of a message whose job type is paused.

    :raises ValueError: or another of ``UNREADABLE``, when no worker could make a job of the message.
    """
    return parked(message, "paused: jobs of type {!r} wait until it is resumed")[2]


def parked(message: Any, reason: str) -> tuple[str, str, str]:
    """Give the name, the task id and the journal entry of a message whose job is to wait in its row.

    :param reason: with a place for the name of the job type.
    :raises ValueError: or another of ``UNREADABLE``, when no worker could make a job of the message.
    """
    check_signature(message)
    headers = message.headers
    row = ""
    if ATTEMPT_HEADER not in headers:
        foreign = _read(message)
        headers, row = foreign.headers, foreign.row()
    check_headers(headers)
    name, task_id = headers["task"], headers["id"]
    attempt = headers.get(ATTEMPT_HEADER) or (headers.get("retries") or 0) + 1
    head = entry.attempt_head(job_id_of(task_id), attempt, "", os.getpid(), headers.get(ENQUEUED_HEADER), row)
    told = {"message": reason.format(name)}
    return name, task_id, entry.ended(Kind.PARKED, head, None, Recording.clock(), told)


def _read(message: Any) -> ForeignMessage:
    """Read a message that was published without a row."""
    size = size_of(message)
    if size > Recording.message_limit:
        raise ValueError(f"it has {size} bytes, and {Recording.message_limit} are the most")
    headers, parts = message.headers, message.payload
    try:
        if "task" not in headers:
            parts, headers, *_ = proto1_to_proto2(message, parts)
        elif isinstance(parts, dict):
            parts, headers, *_ = hybrid_to_proto2(message, parts)
    except InvalidTaskError as error:
        raise ValueError(str(error)) from error
    check_headers(headers)
    if len(headers["task"]) > 100:
        raise ValueError("task: it has more than 100 characters, and no worker here knows it")
    args, kwargs, embed = parts
    check_body(args, kwargs, embed)
    return ForeignMessage(message, headers, args, kwargs, embed or {}, queue_of(message))


def describe_unreadable(queue: str, raw: bytes, problem: str) -> str:
    """Write the journal entry of a message that is not even an envelope, or broke what worked with it."""
    return entry.unreadable(queue, raw, problem, Recording.clock())
