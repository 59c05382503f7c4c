"""Celery messages built by hand: protocol 2 in kombu's Redis envelope, as any stock worker reads them."""

from __future__ import annotations

import base64
import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from json.encoder import encode_basestring_ascii as quote
from typing import Any

from kombu.compression import decompress

from jobplatform.masking import MASK, mask_text
from jobplatform.records import earliest
from jobplatform.secrecy.keyring import KeyRing
from jobplatform.secrecy.signing import SIGNATURE_HEADER, sign

#: Headers of a message that stands for a row; the recorder reads them.
ATTEMPT_HEADER = "jp_attempt"
ENQUEUED_HEADER = "jp_at"
DEADLINE_HEADER = "jp_deadline"
_TRIAL = '"jp_trial":1,'
NO_KEYS = KeyRing()
_HIDDEN = quote(MASK)
_NOTHING = '""'
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
    tenant: str | None = None
    limit_key: str | None = None
    units: int = 1
    extra: Mapping[str, Any] | None = None
    deadline_at: float | None = None
    #: It is handed out and run although its type is paused.
    trial: bool = False


@cache
def _origin(pid: int) -> str:
    return f"{pid}@{socket.gethostname()}"


class Mould:
    """The parts that messages share which differ only in their id and payload.

    :param message: gives everything else.
    :param ring: signs them; an empty one signs nothing.
    """

    def __init__(self, message: Message, ring: KeyRing = NO_KEYS) -> None:
        extra = message.extra or {}
        embed = extra.get("embed")
        self._embed = json.dumps({**_NO_LINKS, **embed}) if embed else _NO_EMBED
        self._links = quote(self._embed)[1:-1]
        self._task_id: str | None = extra.get("task_id")
        self._foreign_body: list[str] | None = extra.get("body")
        self._head = self._type()
        begins_by = earliest(message.expires_at, message.deadline_at)
        limits = f"[{_number(message.timeout)},{_number(message.soft_timeout)}]"
        self._task = f'"headers":{{"lang":"py","task":{quote(message.job_type)},"id":'
        self._headers = (
            f',"retries":{message.retry_count},"timelimit":{limits},'
            f"{_optional('parent_id', message.parent_id)}{_optional('expires', _date(begins_by))}"
            f'"origin":{quote(_origin(os.getpid()))},'
            f'"{ATTEMPT_HEADER}":{message.attempt},"{ENQUEUED_HEADER}":{message.enqueued_at:.6f},'
            f"{_deadline(message.deadline_at)}{_units(message.units)}{_TRIAL if message.trial else ''}"
            f"{_optional('jp_tenant', message.tenant)}{_optional('jp_limit', message.limit_key)}"
            f"{_inner(extra.get('headers'), _HEADERS)}"
        )
        self._root = quote(message.root_id) if message.root_id else None
        properties = extra.get("properties")
        if self._foreign_body:
            properties = {**(properties or {}), "body_encoding": "base64"}
        self._properties = (
            f'"delivery_mode":2,"priority":{message.priority},'
            f'"delivery_info":{{"exchange":"","routing_key":{quote(message.queue)}}},'
            f"{_inner(properties, _PROPERTIES)}}}}}"
        )
        self._queue, self._ring, self._hides = message.queue, ring, bool(extra.get("secret"))
        self._said = self._read_headers() if ring else {}

    def _read_headers(self) -> dict[str, Any]:
        """Read the headers that messages share as a worker does; their ids are empty."""
        text = f'{{{self._task}"","root_id":{self._root or _NOTHING}{self._headers}}}}}'
        headers: dict[str, Any] = json.loads(text)["headers"]
        return headers

    def _type(self) -> str:
        kind, encoding = self._foreign_body[:2] if self._foreign_body else ("application/json", "utf-8")
        return f',"content-encoding":{quote(encoding)},"content-type":{quote(kind)},'

    def fill(self, job_id: str, payload: str) -> str:
        """Build the text that goes onto the queue list.

        :param payload: JSON text of the arguments.
        """
        args, kwargs = split_payload(payload)
        args_text, kwargs_text = quote(args), quote(kwargs)
        body = f'"[{args_text[1:-1]},{kwargs_text[1:-1]},{self._links}]"'
        if self._foreign_body:
            body = quote(self._foreign_body[2])
        task_id = quote(self._task_id or job_id)
        signature = self._signature(self._task_id or job_id, args, kwargs) if self._ring else ""
        shown = args_text if len(args) <= _SHOWN else quote(args[:_SHOWN])
        shown_kwargs = quote(mask_text(kwargs[:_SHOWN])) if len(kwargs) > 2 else kwargs_text
        if self._hides:
            shown = shown_kwargs = _HIDDEN
        return (
            f'{{"body":{body}{self._head}{self._task}{task_id},"root_id":{self._root or task_id},'
            f'"argsrepr":{shown},"kwargsrepr":{shown_kwargs}{self._headers}{signature}}},'
            f'"properties":{{"correlation_id":{task_id},"delivery_tag":{task_id},{self._properties}'
        )

    def _signature(self, task_id: str, args: str, kwargs: str) -> str:
        """Give the header with the signature, and what stands before it."""
        headers = {**self._said, "id": task_id, "root_id": self._said["root_id"] or task_id}
        kind, _, encoded = self._foreign_body or ("application/json", "", "")
        body = base64.b64decode(encoded) if encoded else f"[{args},{kwargs},{self._embed}]"
        return f',"{SIGNATURE_HEADER}":"{sign(self._ring, headers, self._queue, kind, body)}"'


def envelope(message: Message, ring: KeyRing = NO_KEYS) -> str:
    """Build the text that goes onto the queue list, of a message that is like no other.

    :param ring: signs it; an empty one does not.
    """
    return Mould(message, ring).fill(message.job_id, message.payload)


def signed_again(raw: bytes, queue: str, ring: KeyRing) -> bytes:
    """Sign a message that was built before, for somebody who vouches for it; what is no message stays as it is."""
    try:
        value = json.loads(raw)
        _sign_value(value, queue, ring)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return raw
    return json.dumps(value).encode()


def sign_envelope(value: dict[str, Any], queue: str, ring: KeyRing) -> None:
    """Put the signature into an envelope as kombu builds it, if it is that of a task message."""
    if value.get("headers") and "task" in value["headers"]:
        _sign_value(value, queue, ring)


def _sign_value(value: dict[str, Any], queue: str, ring: KeyRing) -> None:
    headers, body = value["headers"], value["body"]
    if value["properties"].get("body_encoding") == "base64":
        body = base64.b64decode(body)
    if headers.get("compression"):
        body = decompress(body, headers["compression"])
    headers[SIGNATURE_HEADER] = sign(ring, headers, queue, value["content-type"], body)


_NO_LINKS = dict.fromkeys(("callbacks", "errbacks", "chain", "chord"))
_NO_EMBED = json.dumps(_NO_LINKS)
#: Headers that are null in most messages are left out: Celery takes a missing one for null, and every byte is
#: parsed twice and piped once for each job.
_HEADERS: dict[str, Any] = {"ignore_result": False}
_PROPERTIES: dict[str, Any] = {"reply_to": "", "body_encoding": "utf-8"}
_PLAIN = {id(defaults): json.dumps(defaults)[1:-1] for defaults in (_HEADERS, _PROPERTIES)}


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


def _optional(name: str, value: str | None) -> str:
    return f'"{name}":{quote(value)},' if value else ""


def _units(units: int) -> str:
    return f'"jp_units":{units},' if units != 1 else ""


def _deadline(at: float | None) -> str:
    return "" if at is None else f'"{DEADLINE_HEADER}":{at:.6f},'


def _date(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat()
