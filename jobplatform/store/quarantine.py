"""The rows of ``journal_quarantine``: entries that could not be applied."""

from __future__ import annotations

from jobplatform.store.database import Transaction
from jobplatform.store.statement import Statement

QUARANTINE_ENTRY = Statement(
    "quarantine_entry",
    """
    insert into @journal_quarantine (stream_id, field, entry, reason)
    values (%(stream_id)s, %(field)s, %(entry)s, %(reason)s)
    on conflict (stream_id, field) do nothing
    """,
    {"stream_id": "0-0", "field": "0", "entry": b"", "reason": ""},
)


def add(transaction: Transaction, stream_id: str, field: str, entry: bytes, reason: str) -> int:
    """Keep an entry that could not be applied, with the reason."""
    return transaction.count(QUARANTINE_ENTRY, stream_id=stream_id, field=field, entry=entry, reason=reason)
