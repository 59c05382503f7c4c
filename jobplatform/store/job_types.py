"""The rows of ``job_types``: what each job type takes, for processes that have not its code."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from jobplatform.store.database import Transaction
from jobplatform.store.statement import Statement

Row = Mapping[str, Any]

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_COLUMNS = "name, queue, words, schema, positional, options, tool"

PUBLISH_TYPES = Statement(
    "publish_types",
    f"""
    insert into @job_types as t ({_COLUMNS}, changed_at, seen_at)
    select name, queue, words, nullif(schema, 'null'::jsonb), array(select json_array_elements_text(positional)),
        options, tool, %(now)s, %(now)s
    from json_to_recordset(%(rows)s) as r(name text, queue text, words text, schema jsonb, positional json,
        options jsonb, tool boolean)
    order by name
    on conflict (name) do update
    set queue = excluded.queue, words = excluded.words, schema = excluded.schema, positional = excluded.positional,
        options = excluded.options, tool = excluded.tool, seen_at = excluded.seen_at,
        changed_at = case when (t.queue, t.schema, t.positional, t.options, t.tool)
            is distinct from (excluded.queue, excluded.schema, excluded.positional, excluded.options, excluded.tool)
            then excluded.seen_at else t.changed_at end
    where t.seen_at < %(now)s - interval '1 hour' or (t.queue, t.words, t.schema, t.positional, t.options, t.tool)
        is distinct from (excluded.queue, excluded.words, excluded.schema, excluded.positional, excluded.options,
            excluded.tool)
    """,
    {"rows": "[]", "now": _NOW},
)

PRUNE_TYPES = Statement("prune_types", "delete from @job_types where seen_at < %(before)s", {"before": _NOW})

LIST_TYPES = Statement(
    "list_job_types",
    """
    select name, queue, words, schema is not null as checked, options, tool, changed_at from @job_types
    where name > %(after)s and (%(queues)s::text[] is null or queue = any(%(queues)s::text[]))
        and (not %(tools)s or tool)
    order by name limit %(limit)s
    """,
    {"after": "", "queues": ["celery"], "tools": False, "limit": 50},
)

SHOW_TYPES = Statement(
    "show_job_types",
    f"select {_COLUMNS}, changed_at from @job_types where name = any(%(names)s::text[])",
    {"names": ["shop.charge"]},
)


def publish(transaction: Transaction, rows: Sequence[Row], now: datetime) -> int:
    """Write what job types take; a row that says so already is written at most once an hour. Returns how many were.

    :param rows: ``name``, ``queue``, ``words``, ``schema``, ``positional``, ``options`` and ``tool``.
    """
    return transaction.count(PUBLISH_TYPES, rows=json.dumps(rows), now=now) if rows else 0


def prune(transaction: Transaction, before: datetime) -> int:
    """Forget types that nobody has published since a time; returns how many."""
    return transaction.count(PRUNE_TYPES, before=before)


def listed(
    transaction: Transaction, limit: int, after: str = "", queues: Sequence[str] | None = None, tools: bool = False
) -> Sequence[Row]:
    """List types by name, without their schemas.

    :param queues: of these alone.
    :param tools: those alone that are offered as tools.
    """
    values = {"queues": None if queues is None else sorted(queues), "tools": tools}
    return transaction.rows(LIST_TYPES, limit=limit, after=after, **values)


def known(transaction: Transaction, names: Sequence[str]) -> dict[str, Row]:
    """Give what is known of some types, by name."""
    return {row["name"]: row for row in transaction.rows(SHOW_TYPES, names=sorted(set(names)))} if names else {}
