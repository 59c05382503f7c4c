"""The rows of ``journal_quarantine``: messages and journal entries that nothing could be made of."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from jobplatform.store.database import Transaction
from jobplatform.store.statement import Statement

Row = Mapping[str, Any]

QUARANTINE = Statement(
    "quarantine",
    """
    insert into @journal_quarantine (stream_id, field, kind, queue, size, job_id, entry, reason)
    select r.stream_id, r.field, r.kind, r.queue, r.size, r.job_id, decode(r.raw, 'base64'), r.reason
    from json_to_recordset(%(rows)s) as r(stream_id text, field text, kind text, queue text, size int, job_id uuid,
        raw text, reason text)
    on conflict (stream_id, field) do nothing
    """,
    {"rows": "[]"},
)

# Journal entries are of all queues, so they are of no queue.
_SCOPE = "(%(in_queues)s::text[] is null or queue = any(%(in_queues)s::text[]))"
_SHOWN = """quarantine_id, kind, queue, size, size = length(entry) as complete, job_id::text, reason, quarantined_at,
        resolution, resolved_at"""

LIST_QUARANTINE = Statement(
    "list_quarantine",
    f"""
    select {_SHOWN}
    from @journal_quarantine
    where (%(kind)s::text is null or kind = %(kind)s)
        and (%(queue)s::text is null or queue = %(queue)s)
        and (not %(open_only)s or resolved_at is null)
        and (%(before_id)s::bigint is null or quarantine_id < %(before_id)s) and {_SCOPE}
    order by quarantine_id desc
    limit %(limit)s
    """,
    {"kind": "message", "queue": "celery", "open_only": True, "before_id": 1000, "limit": 50, "in_queues": None},
)

COUNT_QUARANTINED = Statement(
    "count_quarantined",
    "select count(*) as open from (select from @journal_quarantine where resolved_at is null limit %(cap)s) as found",
    {"cap": 100},
)

SHOW_QUARANTINED = Statement(
    "show_quarantined",
    f"select {_SHOWN}, stream_id, field, entry from @journal_quarantine where quarantine_id = %(quarantine_id)s",
    {"quarantine_id": 1},
)

CLAIM_QUARANTINED = Statement(
    "claim_quarantined",
    f"""
    select {_SHOWN}, field, entry
    from @journal_quarantine
    where resolved_at is null
        and (%(quarantine_ids)s::bigint[] is null or quarantine_id = any(%(quarantine_ids)s::bigint[]))
        and (%(kind)s::text is null or kind = %(kind)s)
        and (%(queue)s::text is null or queue = %(queue)s) and {_SCOPE}
    order by quarantine_id
    limit %(limit)s
    for update skip locked
    """,
    {"quarantine_ids": [1, 2], "kind": "message", "queue": "celery", "limit": 1000, "in_queues": ["celery"]},
)

RESOLVE_QUARANTINED = Statement(
    "resolve_quarantined",
    """
    update @journal_quarantine set resolution = %(resolution)s, resolved_at = now()
    where quarantine_id = any(%(quarantine_ids)s::bigint[]) and resolved_at is null
    returning quarantine_id
    """,
    {"quarantine_ids": [1], "resolution": "replayed"},
)


def add(transaction: Transaction, rows: Sequence[Row]) -> int:
    """Keep what nothing could be made of, each place in the journal once.

    :param rows: mappings of ``stream_id``, ``field``, ``kind``, ``queue``, ``size`` in bytes, ``job_id``, ``raw`` in
        base64 and ``reason``.
    """
    return transaction.count(QUARANTINE, rows=json.dumps(rows)) if rows else 0


def list_quarantine(
    transaction: Transaction,
    kind: str | None = None,
    queue: str | None = None,
    open_only: bool = True,
    limit: int = 50,
    before_id: int | None = None,
    in_queues: Collection[str] | None = None,
) -> Sequence[Row]:
    """List what is in quarantine without its bytes, newest first.

    :param open_only: leave out what was resolved.
    :param before_id: the quarantine_id of the last row of the page before this one.
    :param in_queues: the scope of who asks: messages of these queues alone.
    """
    found = {"kind": kind, "queue": queue, "open_only": open_only, "in_queues": _array(in_queues)}
    return transaction.rows(LIST_QUARANTINE, limit=limit, before_id=before_id, **found)


def count_open(transaction: Transaction, cap: int = 10_000) -> int:
    """Count what is open.

    :param cap: where counting stops; it means "as many or more".
    """
    return int(transaction.rows(COUNT_QUARANTINED, cap=cap)[0]["open"])


def show(transaction: Transaction, quarantine_id: int) -> Row | None:
    """Read one row with its bytes, None when there is no such id."""
    return next(iter(transaction.rows(SHOW_QUARANTINED, quarantine_id=quarantine_id)), None)


def claim(
    transaction: Transaction,
    quarantine_ids: Sequence[int] | None = None,
    kind: str | None = None,
    queue: str | None = None,
    limit: int = 1000,
    in_queues: Collection[str] | None = None,
) -> Sequence[Row]:
    """Read open rows with their bytes, oldest first, and lock them until the transaction ends.

    :param in_queues: the scope of who asks: messages of these queues alone.
    """
    ids = None if quarantine_ids is None else list(quarantine_ids)
    found = {"kind": kind, "queue": queue, "in_queues": _array(in_queues)}
    return transaction.rows(CLAIM_QUARANTINED, quarantine_ids=ids, limit=limit, **found)


def resolve(transaction: Transaction, quarantine_ids: Sequence[int], resolution: str) -> list[int]:
    """Mark open rows as resolved and return their ids."""
    rows = transaction.rows(RESOLVE_QUARANTINED, quarantine_ids=list(quarantine_ids), resolution=resolution)
    return [row["quarantine_id"] for row in rows]


def _array(values: Collection[str] | None) -> list[str] | None:
    return None if values is None else sorted(values)
