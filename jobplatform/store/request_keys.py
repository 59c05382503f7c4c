"""Requests that count once: the rows of ``request_keys``, by who asked and by the key that they gave."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobplatform.store.database import Transaction
from jobplatform.store.statement import Statement

#: How long a key counts, in seconds.
KEPT_SECONDS = 86_400.0
#: Keys that are over which a claim clears away.
_CLEARED = 100

# Who comes second waits for the first to commit.
CLAIM_REQUEST = Statement(
    "claim_request",
    """
    insert into @request_keys as k (actor, key, fingerprint) values (%(actor)s, %(key)s, %(fingerprint)s)
    on conflict (actor, key) do update set fingerprint = excluded.fingerprint, begun_at = now(), status = null,
        answer = null
    where k.begun_at < now() - %(kept)s * interval '1 second'
    """,
    {"actor": "ann/ci", "key": "k", "fingerprint": "f", "kept": KEPT_SECONDS},
)

READ_REQUEST = Statement(
    "read_request",
    "select fingerprint, status, answer from @request_keys where actor = %(actor)s and key = %(key)s",
    {"actor": "ann/ci", "key": "k"},
)

ANSWER_REQUEST = Statement(
    "answer_request",
    "update @request_keys set status = %(status)s, answer = %(answer)s where actor = %(actor)s and key = %(key)s",
    {"actor": "ann/ci", "key": "k", "status": 200, "answer": b"{}"},
)

RELEASE_REQUEST = Statement(
    "release_request",
    "delete from @request_keys where actor = %(actor)s and key = %(key)s",
    {"actor": "ann/ci", "key": "k"},
)

CLEAR_REQUESTS = Statement(
    "clear_requests",
    """
    delete from @request_keys where (actor, key) in (
        select actor, key from @request_keys where begun_at < now() - %(kept)s * interval '1 second'
        order by begun_at limit %(limit)s for update skip locked)
    """,
    {"kept": KEPT_SECONDS, "limit": _CLEARED},
)


def claim(transaction: Transaction, actor: str, key: str, fingerprint: str) -> Mapping[str, Any] | None:
    """Take a key, or give what is known of the request that has it: fingerprint, status and answer."""
    transaction.count(CLEAR_REQUESTS, kept=KEPT_SECONDS, limit=_CLEARED)
    if transaction.count(CLAIM_REQUEST, actor=actor, key=key, fingerprint=fingerprint, kept=KEPT_SECONDS):
        return None
    (found,) = transaction.rows(READ_REQUEST, actor=actor, key=key)
    return found


def keep(transaction: Transaction, actor: str, key: str, status: int, answer: bytes) -> None:
    """Keep what was answered to a request."""
    transaction.count(ANSWER_REQUEST, actor=actor, key=key, status=status, answer=answer)


def release(transaction: Transaction, actor: str, key: str) -> None:
    """Let a key be used again, since nothing was done with it."""
    transaction.count(RELEASE_REQUEST, actor=actor, key=key)
