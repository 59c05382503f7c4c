"""The identity of an error without its variable parts, and what it points at."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any, NamedTuple


class Identity(NamedTuple):
    """What makes two errors the same.

    :param digest: 16 hexadecimal digits of ``text``, the fingerprint.
    :param text: type, message without variable parts, and the user's own frames.
    :param dependency: what the error points at, such as ``host:api.local``, ``database:db1`` or ``file:/mnt/share``.
    """

    digest: str
    text: str
    dependency: str | None


_VARIABLE = re.compile(r"0x[0-9a-fA-F]+|\d+")


def identify(error: Mapping[str, Any]) -> Identity:
    """Tell errors of one kind from others.

    :param error: what ``journal.failure.describe`` says of a failure.
    """
    text = f"{error.get('type')}: {_VARIABLE.sub('#', str(error.get('message', '')))}"
    host = error.get("host")
    return Identity(hashlib.sha256(text.encode()).hexdigest()[:16], text, f"host:{host}" if host else None)
