"""What a message must say before anything uses it: anybody may publish, and Celery trusts what its headers hold."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from jobplatform.journal.foreign import DEADLINE_HEADER, timestamp
from jobplatform.journal.recording import Recording
from jobplatform.records import job_id_of
from jobplatform.secrecy.signing import verify

#: Headers of messages that stand for a row: the attempt, and when the message was enqueued.
ATTEMPT_HEADER = "jp_attempt"
ENQUEUED_HEADER = "jp_at"

#: What a hostile message makes the code that reads it raise.
UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError)
#: The longest task id and name, in characters.
_LONGEST = 255
#: More retries, or seconds, than there are.
_MOST_RETRIES = 1_000_000
_MOST_SECONDS = 1e10
_LINKS = ("callbacks", "errbacks", "chain")


def queue_of(message: Any) -> str:
    """Name the queue that a message was taken from, as far as its broker tells."""
    delivering = getattr(message.channel, "delivering", None)
    info = message.delivery_info if isinstance(message.delivery_info, dict) else {}
    return str(delivering[0] if delivering else info.get("routing_key") or "celery")


def size_of(message: Any) -> int:
    """Give the size of a message that is being delivered, in bytes."""
    delivering = getattr(message.channel, "delivering", None)
    return len(delivering[1] if delivering else message.body or b"")


def raw_of(message: Any) -> bytes:
    """Give the bytes of a message that is being delivered; those of another broker's are put together again."""
    delivering = getattr(message.channel, "delivering", None)
    if delivering:
        return bytes(delivering[1])
    parts = {"headers": message.headers, "properties": message.properties, "body": message.body}
    return json.dumps(parts, default=repr).encode()


def check_signature(message: Any) -> None:
    """Refuse a message that is not signed as it should be; without keys every message is taken.

    :raises Refused: saying what is wrong with its signature.
    """
    if Recording.ring:
        verify(Recording.ring, message.headers, queue_of(message), str(message.content_type), message.body)


def is_signed(message: Any) -> bool:
    """Tell whether a message is to be believed; without keys every one is."""
    try:
        check_signature(message)
    except UNREADABLE:
        return False
    return True


def check_headers(headers: Mapping[str, Any]) -> None:
    """Refuse headers that break what uses them.

    :raises ValueError: naming the header and its problem.
    """
    for name in ("id", "task"):
        _check_text(name, headers.get(name))
    _check_number("retries", headers.get("retries") or 0, 0)
    if ATTEMPT_HEADER in headers:
        _check_number(ATTEMPT_HEADER, headers[ATTEMPT_HEADER], 1)
        _check_seconds(ENQUEUED_HEADER, headers.get(ENQUEUED_HEADER))
    _check_seconds(DEADLINE_HEADER, headers.get(DEADLINE_HEADER))
    _check_limits(headers.get("timelimit") or (None, None))
    for name in ("eta", "expires"):
        _check_time(name, headers.get(name))
    stamped = headers.get("stamped_headers")
    if stamped is not None and not _is_list_of(stamped, str):
        raise ValueError("stamped_headers: it is no list of names")
    if not isinstance(headers.get("stamps") or {}, dict):
        raise ValueError("stamps: it is no object")


def named(headers: Any) -> tuple[str, int] | None:
    """Tell which job and attempt a message names that says that it stands for a row, None if it names none."""
    try:
        _check_text("id", headers["id"])
        _check_number(ATTEMPT_HEADER, headers[ATTEMPT_HEADER], 1)
        return job_id_of(headers["id"]), headers[ATTEMPT_HEADER]
    except UNREADABLE:
        return None


def check_body(args: Any, kwargs: Any, embed: Any) -> None:
    """Refuse the parts of a body that no task can be called with.

    :raises ValueError: naming the part and its problem.
    """
    if not isinstance(args, (list, tuple)):
        raise ValueError(f"args: it is a {type(args).__name__}, not a list")
    if not isinstance(kwargs, dict):
        raise ValueError(f"kwargs: it is a {type(kwargs).__name__}, not an object")
    if embed is None:
        return
    if not isinstance(embed, dict):
        raise ValueError(f"the third part of the body is a {type(embed).__name__}, not an object")
    for name in _LINKS:
        if embed.get(name) and not _is_list_of(embed[name], (dict, str)):
            raise ValueError(f"{name}: it is no list of signatures")
    if not isinstance(embed.get("chord") or {}, dict):
        raise ValueError("chord: it is no signature")


def _check_text(name: str, value: Any) -> None:
    if not isinstance(value, str):
        raise ValueError(f"{name}: it is a {type(value).__name__}, not a text")
    if not value:
        raise ValueError(f"{name}: it is empty")
    if len(value) > _LONGEST:
        raise ValueError(f"{name}: it has {len(value)} characters, and {_LONGEST} are the most")
    if not value.isprintable():
        raise ValueError(f"{name}: it holds characters that cannot be printed")


def _check_number(name: str, value: Any, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= _MOST_RETRIES:
        raise ValueError(f"{name}: it is no number from {least} to {_MOST_RETRIES}")


def _check_seconds(name: str, value: Any) -> None:
    if value is None:
        return
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not (number and math.isfinite(value) and 0 <= value <= _MOST_SECONDS):
        raise ValueError(f"{name}: it is no number of seconds")


def _check_time(name: str, value: Any) -> None:
    try:
        timestamp(value)
    except ValueError as error:
        raise ValueError(f"{name}: it is no time that can be used: {error}") from error


def _check_limits(limits: Any) -> None:
    if not isinstance(limits, (list, tuple)) or len(limits) != 2:
        raise ValueError("timelimit: it is no pair of seconds")
    for limit in limits:
        _check_seconds("timelimit", limit)


def _is_list_of(value: Any, kinds: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(item, kinds) for item in value)
