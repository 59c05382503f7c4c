"""The advisory lock that makes one controller the leader."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from jobplatform.store.database import Transaction
from jobplatform.store.statement import Statement

TRY_LEAD = Statement(
    "try_lead",
    """
    select pg_try_advisory_lock(%(space)s, %(key)s) as leads,
        set_config('idle_session_timeout', %(silence)s, false) as silence
    """,
    {"space": 1, "key": 1, "silence": "15s"},
)
# Held until the transaction ends, so that nobody leads meanwhile.
TRY_VACANT = Statement(
    "try_vacant", "select pg_try_advisory_xact_lock(%(space)s, %(key)s) as vacant", {"space": 1, "key": 1}
)

PROBE = Statement(
    "probe",
    """
    select extract(epoch from clock_timestamp())::float8 as now,
        current_setting('transaction_read_only')::boolean as read_only
    """,
    {},
)

#: The first half of the lock's key: "jobp" in ASCII.
_SPACE = 0x6A6F6270
#: The server ends a session that says nothing for so many seconds: that of a leader which stands still.
SILENCE_SECONDS = 15


@dataclass(frozen=True, slots=True)
class Probe:
    """What a server says of itself: its time, in seconds since the epoch, and whether it takes no writes."""

    now: float
    read_only: bool


def try_lead(session: Transaction) -> bool:
    """Try to take the leader's lock of this schema; it is held until the session's connection ends."""
    (found,) = session.rows(TRY_LEAD, space=_SPACE, key=_key(session), silence=f"{SILENCE_SECONDS}s")
    return bool(found["leads"])


def probe(session: Transaction) -> Probe:
    """Ask the server how it is; raises when the connection is gone."""
    (found,) = session.rows(PROBE)
    return Probe(float(found["now"]), bool(found["read_only"]))


def is_vacant(transaction: Transaction) -> bool:
    """Tell whether no controller leads; if so, none will until the transaction has ended."""
    return bool(transaction.rows(TRY_VACANT, space=_SPACE, key=_key(transaction))[0]["vacant"])


def _key(session: Transaction) -> int:
    return zlib.crc32(session.schema.encode()) & 0x7FFFFFFF
