"""Celery messages built by hand: protocol 2 in kombu's Redis envelope, as any stock worker reads them."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from json.encoder import encode_basestring_ascii as quote
from typing import Any

#: Headers of a message that stands for a row; the recorder reads them.
ATTEMPT_HEADER = "jp_attempt"
ENQUEUED_HEADER = "jp_at"
#: So much of the payload is shown in Celery's logs, in characters.
_SHOWN = 160


@dataclass(frozen=True, slots=True)
class Message:
    """What a message says; ``payload`` is the JSON text of its arguments, times are seconds since the epoch.

    ``extra`` holds what Celery's canvas and callers added: ``headers``, ``embed`` and ``properties``.
    """

    job_id: str
    job_type: str
    payload: str
    queue: str
    priority: int
    enqueued_at: float
    attempt: int = 1
    retry_count: int = 0
    root_id: str | None = None
    parent_id: str | None = None
    expires_at: float | None = None
    timeout: float | None = None
    soft_timeout: float | None = None
    extra: Mapping[str, Any] | None = None


@cache
def _origin(pid: int) -> str:
    return f"{pid}@{socket.gethostname()}"


def envelope(message: Message) -> str:
    """Build the text that goes onto the queue list."""
    extra = message.extra or {}
    args, kwargs = split_payload(message.payload)
    content_type, encoding, body = "application/json", "utf-8", _body(args, kwargs, extra.get("embed"))
    properties_extra = extra.get("properties")
    if "body" in extra:
        content_type, encoding, body = extra["body"]
        properties_extra = {**(properties_extra or {}), "body_encoding": "base64"}
    job_id = quote(extra.get("task_id") or message.job_id)
    limits = f"[{_number(message.timeout)},{_number(message.soft_timeout)}]"
    headers = (
        f'{{"lang":"py","task":{quote(message.job_type)},"id":{job_id},'
        f'"retries":{message.retry_count},"timelimit":{limits},'
        f'"root_id":{quote(message.root_id) if message.root_id else job_id},'
        f'"parent_id":{quote(message.parent_id) if message.parent_id else "null"},'
        f'"argsrepr":{quote(args[:_SHOWN])},"kwargsrepr":{quote(kwargs[:_SHOWN])},'
        f'"origin":{quote(_origin(os.getpid()))},"expires":{_date(message.expires_at)},'
        f'"{ATTEMPT_HEADER}":{message.attempt},"{ENQUEUED_HEADER}":{message.enqueued_at:.6f},'
        f"{_inner(extra.get('headers'), _HEADERS)}}}"
    )
    queue = quote(message.queue)
    properties = (
        f'{{"correlation_id":{job_id},"delivery_mode":2,"delivery_tag":{job_id},"priority":{message.priority},'
        f'"delivery_info":{{"exchange":"","routing_key":{queue}}},{_inner(properties_extra, _PROPERTIES)}}}'
    )
    return (
        f'{{"body":{quote(body)},"content-encoding":{quote(encoding)},"content-type":{quote(content_type)},'
        f'"headers":{headers},"properties":{properties}}}'
    )


_NO_LINKS = dict.fromkeys(("callbacks", "errbacks", "chain", "chord"))
_NO_EMBED = json.dumps(_NO_LINKS)
_HEADERS: dict[str, Any] = {
    "shadow": None, "eta": None, "group": None, "group_index": None, "ignore_result": False,
    "replaced_task_nesting": 0, "stamped_headers": None, "stamps": {},
}  # fmt: skip
_PROPERTIES: dict[str, Any] = {"reply_to": "", "body_encoding": "utf-8"}
_PLAIN = {id(defaults): json.dumps(defaults)[1:-1] for defaults in (_HEADERS, _PROPERTIES)}


def _body(args: str, kwargs: str, embed: Any) -> str:
    links = json.dumps({**_NO_LINKS, **embed}) if embed else _NO_EMBED
    return f"[{args},{kwargs},{links}]"


def split_payload(payload: str) -> tuple[str, str]:
    """Split the JSON text of a payload into that of its arguments and of its keyword arguments."""
    if payload.startswith('{"args":[],"kwargs":'):
        return "[]", payload[20:-1]
    if payload.startswith('{"args":') and payload.endswith(',"kwargs":{}}'):
        return payload[8:-13], "{}"
    value = json.loads(payload) or {}
    return json.dumps(value.get("args", [])), json.dumps(value.get("kwargs", {}))


def _inner(values: Mapping[str, Any] | None, defaults: dict[str, Any]) -> str:
    return json.dumps({**defaults, **values})[1:-1] if values else _PLAIN[id(defaults)]


def _number(value: float | None) -> str:
    return "null" if value is None else repr(value)


def _date(at: float | None) -> str:
    return "null" if at is None else f'"{datetime.fromtimestamp(at, UTC).isoformat()}"'
