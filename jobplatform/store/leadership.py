"""The advisory lock that makes one controller the leader."""

from __future__ import annotations

import zlib

from jobplatform.store.database import Transaction
from jobplatform.store.statement import Statement

TRY_LEAD = Statement("try_lead", "select pg_try_advisory_lock(%(space)s, %(key)s) as leads", {"space": 1, "key": 1})
PROBE = Statement("probe", "select extract(epoch from clock_timestamp())::float8 as now", {})

#: The first half of the lock's key: "jobp" in ASCII.
_SPACE = 0x6A6F6270


def try_lead(session: Transaction) -> bool:
    """Try to take the leader's lock of this schema; it is held until the session's connection ends."""
    key = zlib.crc32(session.schema.encode()) & 0x7FFFFFFF
    return bool(session.rows(TRY_LEAD, space=_SPACE, key=key)[0]["leads"])


def probe(session: Transaction) -> float:
    """Ask the server for its time, in seconds since the epoch; raises when the connection is gone."""
    return float(session.rows(PROBE)[0]["now"])
