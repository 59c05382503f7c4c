"""Payloads as JSON text: refused at the door, so that every store behind it can hold them.

The accepted values are those that come back equal from JSON (tuples as lists) and that jsonb takes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from jobplatform.errors import InvalidPayload
from jobplatform.journal.storable import (
    GIVE_JSON,
    MAX_DEPTH,
    encode,
    find_problem,
    is_suspicious,
    is_too_deep,
    segment,
)

#: The braces of a payload without any dict inside: its own and that of the keyword arguments.
_ENVELOPE_DICTS = 2


def encode_payload(args: Sequence[object], kwargs: Mapping[str, object], limit: int) -> str:
    """Encode the arguments of a job as compact ASCII JSON, ``{"args":[...],"kwargs":{...}}``.

    :param limit: the largest payload taken, in bytes.
    :raises InvalidPayload: when a value is no JSON, cannot be stored, or the whole is larger than ``limit``.
    """
    if not isinstance(args, (tuple, list)):
        args = list(args)
    if not isinstance(kwargs, dict):
        kwargs = dict(kwargs)
    try:
        text = encode({"args": args, "kwargs": kwargs})
        "".join(kwargs)
        suspicious = is_suspicious(text)
        if text.count("{") > _ENVELOPE_DICTS or text.count("[") > MAX_DEPTH:
            suspicious |= is_too_deep(args, text_keys=True) or is_too_deep(kwargs, text_keys=True)
    except (TypeError, ValueError, RecursionError) as error:
        found = _payload_problem(args, kwargs)
        raise found or InvalidPayload("payload", f"JSON cannot encode it: {error}", GIVE_JSON) from error
    if len(text) > limit:
        problem = f"it takes {len(text)} bytes and the limit is {limit} bytes"
        raise InvalidPayload("payload", problem, "store the content elsewhere and pass a reference to it")
    if suspicious and (found := _payload_problem(args, kwargs)):
        raise found
    return text


def encode_state(state: object, limit: int) -> str:
    """Encode the state that a job saves as compact ASCII JSON.

    :param limit: the largest state taken, in bytes.
    :raises InvalidPayload: when a value in it is no JSON, cannot be stored, or the whole is larger than ``limit``.
    """
    try:
        text = encode(state)
        suspicious = is_suspicious(text) or is_too_deep((state,), text_keys=True)
    except (TypeError, ValueError, RecursionError) as error:
        found = find_problem("state", state)
        raise found or InvalidPayload("state", f"JSON cannot encode it: {error}", GIVE_JSON) from error
    if len(text) > limit:
        problem = f"it takes {len(text)} bytes and the limit is {limit} bytes"
        raise InvalidPayload("state", problem, "store the content elsewhere and save a reference to it")
    if suspicious and (found := find_problem("state", state)):
        raise found
    return text


def decode_payload(payload: object) -> tuple[list[Any], dict[str, Any]]:
    """Read the arguments of a job out of its stored payload.

    :param payload: the JSON text, or the object that a jsonb column gave.
    :raises InvalidPayload: when it is no object of ``args`` (a list) and ``kwargs`` (an object).
    """
    fix = 'store {"args": [...], "kwargs": {...}}'
    if isinstance(payload, (str, bytes)):
        try:
            payload = json.loads(payload)
        except (ValueError, RecursionError) as error:
            raise InvalidPayload("payload", f"it cannot be read as JSON: {error}", fix) from error
    if not isinstance(payload, dict):
        raise InvalidPayload("payload", f"it is a {type(payload).__name__}, not an object", fix)
    args, kwargs = payload.get("args", []), payload.get("kwargs", {})
    if not isinstance(args, list):
        raise InvalidPayload("payload.args", f"it is a {type(args).__name__}, not a list", fix)
    if not isinstance(kwargs, dict):
        raise InvalidPayload("payload.kwargs", f"it is a {type(kwargs).__name__}, not an object", fix)
    for key in payload:
        if key not in ("args", "kwargs"):
            raise InvalidPayload("payload" + segment(key), "no such part of a payload", fix)
    return args, kwargs


def _payload_problem(args: Sequence[object], kwargs: Mapping[str, object]) -> InvalidPayload | None:
    return find_problem("args", args) or find_problem("kwargs", kwargs)
