"""Values that only who has the key can read, as they lie in tables, queues and journal entries.

A sealed value is ``{"jp_enc": {"key", "of", "type", "as", "nonce", "data"}}``: AES-256-GCM (NIST SP 800-38D) of its
JSON text, bound to the job, its type, and what of the job it is. A sealed payload has it for its keyword
arguments, and no arguments, so that whoever passes payloads on need not know. ``cryptography`` is
imported at the first use, so that processes that seal nothing stay small.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from jobplatform.errors import SealError
from jobplatform.secrecy.keyring import KeyRing

_FIELD = "jp_enc"
#: What stands in a message only if something in it is sealed.
MARK = '"jp_enc"'
PAYLOAD, RESULT = "payload", "result"
#: Stands for the job where none is known yet, as in a link of a canvas.
LINK = "link"
_PARTS = frozenset({"key", "of", "type", "as", "nonce", "data"})
_NONCE_BYTES = 12


def seal(ring: KeyRing, text: str, job_id: str, job_type: str, kind: str) -> dict[str, Any]:
    """Seal a value.

    :param text: JSON text of the value.
    :param kind: ``payload`` or ``result``.
    :raises SealError: when the ring has no key.
    """
    if not ring:
        raise SealError(
            f"{kind}: jobs of type {job_type} are encrypted, and this process has no key; "
            "set JOBPLATFORM_ENCRYPTION_KEYS"
        )
    nonce = os.urandom(_NONCE_BYTES)
    data = _cipher(ring.keys[ring.first]).encrypt(nonce, text.encode(), _bound(job_id, job_type, kind))
    parts = {"key": ring.first, "of": job_id, "type": job_type, "as": kind, "nonce": _text(nonce), "data": _text(data)}
    return {_FIELD: parts}


def seal_payload(ring: KeyRing, payload: str, job_id: str, job_type: str) -> str:
    """Give the JSON text of the payload that stands for another one.

    :param payload: JSON text.
    """
    kwargs = seal(ring, payload, job_id, job_type, PAYLOAD)
    return f'{{"args":[],"kwargs":{json.dumps(kwargs, separators=(",", ":"))}}}'


def is_sealed(value: Any) -> bool:
    """Tell whether a value is a sealed one."""
    if not isinstance(value, Mapping) or len(value) != 1 or _FIELD not in value:
        return False
    parts = value[_FIELD]
    return isinstance(parts, Mapping) and parts.keys() == _PARTS and all(isinstance(p, str) for p in parts.values())


def is_sealed_payload(payload: Any) -> bool:
    """Tell whether a payload is sealed."""
    return isinstance(payload, Mapping) and is_sealed(payload.get("kwargs"))


def key_of(value: Mapping[str, Any]) -> str:
    """Name the key of a sealed value."""
    return str(value[_FIELD]["key"])


def unseal(ring: KeyRing, value: Mapping[str, Any]) -> Any:
    """Read a sealed value.

    :raises SealError: when the ring has not its key, or it was changed.
    """
    parts = value[_FIELD]
    key = ring.get(parts["key"])
    if key is None:
        raise SealError(
            f"{parts['as']}: it is encrypted with the key {parts['key']!r:.40}, which this process does not have; "
            "add it to JOBPLATFORM_ENCRYPTION_KEYS"
        )
    from cryptography.exceptions import InvalidTag

    try:
        nonce, data = base64.b64decode(parts["nonce"]), base64.b64decode(parts["data"])
        text = _cipher(key).decrypt(nonce, data, _bound(parts["of"], parts["type"], parts["as"]))
        return json.loads(text)
    except (InvalidTag, ValueError) as error:
        raise SealError(
            f"{parts['as']}: it was changed after it was encrypted, or is that of another job; submit the job again"
        ) from error


def unseal_payload(
    ring: KeyRing, args: Sequence[Any], kwargs: Mapping[str, Any], job_id: str, job_type: str
) -> tuple[list[Any], dict[str, Any]]:
    """Give the arguments that sealed ones stand for, and results that were put in their place since.

    :raises SealError: when they cannot be read, or are those of another job.
    """
    parts = kwargs[_FIELD]
    if parts["of"] not in (job_id, LINK) or parts["type"] != job_type or parts["as"] != PAYLOAD:
        raise SealError(f"payload: it is that of job {parts['of']:.40}, not of job {job_id}; submit the job again")
    plain = unseal(ring, kwargs)
    rest = plain["args"] if parts["of"] == LINK else plain["args"][len(args) :]
    return [*args, *rest], dict(plain["kwargs"])


def unsealed(ring: KeyRing, value: Any) -> Any:
    """Give a JSON value with what is sealed in it, at any depth, as it was.

    :raises SealError: when something in it cannot be read.
    """
    if is_sealed(value):
        return unseal(ring, value)
    if isinstance(value, Mapping):
        return {key: unsealed(ring, each) for key, each in value.items()}
    return [unsealed(ring, each) for each in value] if isinstance(value, (list, tuple)) else value


def sealed_anew(ring: KeyRing, value: Mapping[str, Any]) -> dict[str, Any]:
    """Seal a value again with the key in use.

    :raises SealError: when it cannot be read.
    """
    parts = value[_FIELD]
    return seal(ring, json.dumps(unseal(ring, value)), parts["of"], parts["type"], parts["as"])


@lru_cache(maxsize=16)
def _cipher(key: bytes) -> Any:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key)


def _bound(job_id: str, job_type: str, kind: str) -> bytes:
    return json.dumps([job_id, job_type, kind]).encode()


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
