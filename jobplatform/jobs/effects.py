"""Effects: what a job does once, however often it runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from jobplatform.errors import InvalidPayload, StoreUnavailable
from jobplatform.jobs.platform import Platform
from jobplatform.journal.storable import find_problem

#: The longest key, in characters.
KEY_LENGTH = 200


@contextmanager
def effect(platform: Platform, job_id: str, attempt: int, key: str, session: Any = None) -> Iterator[bool]:
    """Guard a block that does an effect, and give it whether the effect is still to be done.

    The effect's row commits with the caller's session, or else with a transaction that is open during the block. A
    block that raises takes it back, together with what it wrote in the session.

    :param session: an SQLAlchemy Session, scoped_session or Connection, on the platform's database.
    :raises Superseded: when the job has a newer attempt.
    :raises EffectPending: when another run has the effect open for too long.
    :raises StoreUnavailable: when PostgreSQL is away; the block is not entered.
    """
    check_key(key)
    # Imported here: most jobs never need it, and it would cost each process 30 MB.
    from jobplatform.store import effects
    from jobplatform.store.database import UNREACHABLE

    with ExitStack() as opened:
        try:
            transaction = opened.enter_context(
                platform.database.transaction() if session is None else platform.savepoint_on(session)
            )
            first = effects.claim(transaction, job_id, key, attempt, ours=session is None)
        except UNREACHABLE as error:
            raise StoreUnavailable(
                f"effect {key!r} of job {job_id}: PostgreSQL did not answer, so nobody knows if it was done before; "
                f"let this attempt fail: {error}"
            ) from error
        yield first


def check_key(key: Any) -> None:
    """Refuse what names no effect.

    :raises InvalidPayload: when it is no text, empty, too long, or cannot be stored.
    """
    if not isinstance(key, str) or not 1 <= len(key) <= KEY_LENGTH:
        raise InvalidPayload("key", f"{key!r:.100} is no text of 1 to {KEY_LENGTH} characters", "pass one as 'charge'")
    problem = find_problem("key", key)
    if problem is not None:
        raise problem
