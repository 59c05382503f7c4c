"""Bytes that nobody could make sense of, as far as people can read them, without what is secret in them; pure."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from jobplatform.masking import mask, mask_text
from jobplatform.web.wording import plain

#: Bytes that are looked at.
MOST = 20_000


def readable(raw: bytes) -> str:
    """Write bytes as JSON if they are, and else as text; of a message that carries its body so, the body as well."""
    try:
        known = _opened(json.loads(raw)) if len(raw) <= MOST else None
    except (ValueError, RecursionError):
        known = None
    if isinstance(known, dict | list):
        return plain(json.dumps(mask(known), indent=2, ensure_ascii=False))
    return plain(mask_text(raw[:MOST].decode("utf-8", "backslashreplace")))


def _opened(message: Any) -> Any:
    """Read the body of a Celery message, which is in base64, so that what is secret in it is found by its name."""
    if not isinstance(message, dict) or not isinstance(message.get("body"), str):
        return message
    try:
        return {**message, "body": json.loads(base64.b64decode(message["body"], validate=True))}
    except (ValueError, binascii.Error):
        return message
