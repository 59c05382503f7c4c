"""The rows of ``audit_seals``: up to where the audit log was taken out, and the hash that the next row is bound to."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from jobplatform.store.database import Transaction
from jobplatform.store.statement import Statement

OLDEST_DEEDS = Statement(
    "oldest_deeds",
    """
    select audit_id, hash, at < %(before)s and audit_id < (select max(audit_id) from @audit_log) as over,
        (to_jsonb(a) || jsonb_build_object('version', 1))::text as line
    from @audit_log a order by audit_id limit %(limit)s
    """,
    {"before": datetime(2026, 1, 1, tzinfo=UTC), "limit": 1_000},
)

SEAL_DEEDS = Statement(
    "seal_deeds",
    "insert into @audit_seals (audit_id, hash, file) values (%(audit_id)s, %(hash)s, %(file)s)",
    {"audit_id": 1, "hash": b"", "file": "audit.jsonl"},
)

DELETE_SEALED = Statement(
    "delete_sealed_deeds", "delete from @audit_log where audit_id <= %(audit_id)s", {"audit_id": 1}
)


class Deed(NamedTuple):
    """A row of the audit log as it is written into a file."""

    audit_id: int
    hash: bytes
    line: str


def oldest(transaction: Transaction, before: datetime, limit: int) -> list[Deed]:
    """List the first rows, as far as all of them were added before a time; the newest of all is never among them."""
    found = []
    for row in transaction.rows(OLDEST_DEEDS, before=before, limit=limit):
        if not row["over"]:
            break
        found.append(Deed(row["audit_id"], bytes(row["hash"]), row["line"]))
    return found


def take_out(transaction: Transaction, last: Deed, file: str) -> int:
    """Delete all rows up to one, and note its hash and where they are; returns how many."""
    transaction.count(SEAL_DEEDS, audit_id=last.audit_id, hash=last.hash, file=file)
    return transaction.count(DELETE_SEALED, audit_id=last.audit_id)
