"""Requests that may come twice and are done once: a key that the sender gives, and the answer that is kept with it."""

from __future__ import annotations

from typing import NamedTuple

from jobplatform.actions.actor import Actor
from jobplatform.actions.desk import Desk
from jobplatform.errors import RequestRefused
from jobplatform.store import request_keys


class Answer(NamedTuple):
    """What was answered to a request."""

    status: int
    body: bytes


def claim(desk: Desk, actor: Actor, key: str, fingerprint: str) -> Answer | None:
    """Begin a request, or give what was answered when it came before.

    :raises RequestRefused: when the key was used for something else, or how that request ended is not known.
    """
    with desk.database.transaction() as transaction:
        found = request_keys.claim(transaction, actor.name, key, fingerprint)
    if found is None:
        return None
    if found["fingerprint"] != fingerprint:
        raise RequestRefused("Idempotency-Key: it was used for another request; give another key", 409)
    if found["status"] is None:
        problem = "the request that has it is under way, or was cut off; look what became of it, then give another key"
        raise RequestRefused(f"Idempotency-Key: {problem}", 409)
    return Answer(found["status"], bytes(found["answer"]))


def settle(desk: Desk, actor: Actor, key: str, answer: Answer | None) -> None:
    """End a request: keep its answer, or let the key be used again if nothing was done (None)."""
    with desk.database.transaction() as transaction:
        if answer is None:
            request_keys.release(transaction, actor.name, key)
        else:
            request_keys.keep(transaction, actor.name, key, *answer)
