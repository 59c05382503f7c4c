"""Submissions that count once, as their callers name them."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

from jobplatform.errors import InvalidPayload, JobOptionError
from jobplatform.journal.storable import find_problem
from jobplatform.records import Idempotency, NewJob

_LONGEST = 200


def idempotency_of(job: NewJob, key: str, retention: float, now: float, secret: bytes = b"") -> Idempotency:
    """Give what makes a submission count once.

    :param retention: seconds for which the key counts.
    :param now: seconds since the epoch.
    :param secret: without it nobody can tell what was submitted by trying.
    """
    return Idempotency(key, fingerprint_of(job, secret), now, now + retention)


def fingerprint_of(job: NewJob, secret: bytes = b"") -> str:
    """Give a hash of what a submission asks for: its job type and its payload, in whatever order names stand in it."""
    content = [job.job_type, json.loads(job.payload), (job.message or {}).get("body")]
    text = json.dumps(content, sort_keys=True).encode()
    return (hmac.digest(secret, text, "sha256").hex() if secret else hashlib.sha256(text).hexdigest())[:32]


def check_key(key: Any) -> str | None:
    """Give a key back if it is one.

    :raises JobOptionError: when it is no text, empty, too long, or cannot be stored.
    """
    if key is None:
        return None
    if not isinstance(key, str) or not 1 <= len(key) <= _LONGEST:
        raise JobOptionError(
            f"idempotency_key: {key!r:.100} is no text of 1 to {_LONGEST} characters; pass one as 'order-4711'"
        )
    problem: InvalidPayload | None = find_problem("idempotency_key", key)
    if problem is not None:
        raise JobOptionError(str(problem))
    return key


def check_retention(retention: Any, key: str | None) -> float | None:
    """Give the seconds back for which a key counts.

    :raises JobOptionError: when they are none, or there is no key.
    """
    if retention is None:
        return None
    if isinstance(retention, bool) or not isinstance(retention, (int, float)) or not 0 < retention < 1e9:
        raise JobOptionError(f"idempotency_retention: {retention!r} is no time; give seconds above 0")
    if key is None:
        raise JobOptionError("idempotency_retention: there is no key that it is for; give an idempotency_key")
    return float(retention)
