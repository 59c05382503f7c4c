"""Signatures of messages: what a worker is to run, for which job, until when, under which limits.

A signature is ``key name:hex of HMAC-SHA256`` (RFC 2104) of the version, the queue, the type and the SHA-256 of the
body, and the headers below, as compact JSON in which each has its place. The body holds the arguments and the links.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from jobplatform.secrecy.keyring import KeyRing

#: The header that holds the signature.
SIGNATURE_HEADER = "jp_sign"
_VERSION = 1
#: Headers that say what is run, as which job and attempt, and what bounds it.
SIGNED_HEADERS = (
    "task", "id", "jp_attempt", "jp_at", "retries", "timelimit", "expires", "jp_deadline", "eta", "root_id",
    "parent_id", "group", "group_index", "jp_tenant", "jp_limit", "jp_units", "jp_batch", "jp_trial", "ignore_result",
    "replaced_task_nesting", "stamps", "stamped_headers",
)  # fmt: skip
_encode = json.JSONEncoder(separators=(",", ":"), sort_keys=True).encode


class Refused(ValueError):
    """A message that carries no good signature."""


def sign(ring: KeyRing, headers: Mapping[str, Any], queue: str, kind: str, body: bytes | str) -> str:
    """Give the signature of a message.

    :param queue: that it is put into.
    :param kind: the content type of its body.
    :param body: as the worker gets it, unpacked.
    """
    return f"{ring.first}:{_digest(ring.keys[ring.first], headers, queue, kind, body)}"


def verify(ring: KeyRing, headers: Mapping[str, Any], queue: str, kind: str, body: bytes | str) -> None:
    """Refuse a message that was not signed as it is.

    :raises Refused: saying what is wrong with its signature.
    """
    given = headers.get(SIGNATURE_HEADER)
    if not isinstance(given, str) or not given:
        raise Refused("unsigned: the message has no signature")
    name, _, digest = given.partition(":")
    key = ring.get(name)
    if key is None:
        raise Refused(f"unsigned: the message is signed with the key {name[:32]!r}, which is not in the ring")
    if not hmac.compare_digest(digest.encode("utf-8", "replace"), _digest(key, headers, queue, kind, body).encode()):
        raise Refused("unsigned: the signature is not that of this message")


def _digest(key: bytes, headers: Mapping[str, Any], queue: str, kind: str, body: bytes | str) -> str:
    raw = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
    # A header that is null says what one says that is missing, and publishers leave out either.
    said = [value or None for value in map(headers.get, SIGNED_HEADERS)]
    text = _encode([_VERSION, queue, kind, sha256(raw).hexdigest(), said])
    return hmac.digest(key, text.encode(), "sha256").hex()
