"""What is encrypted in the tables, page by page, so that it can be encrypted again with another key."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from jobplatform.store.database import Transaction
from jobplatform.store.statement import Statement

#: So many rows are looked at by one statement: each may hold megabytes.
PAGE = 200
_NO_ID = "00000000-0000-0000-0000-000000000000"


class Page(NamedTuple):
    """The rows of a page that hold something encrypted, and where the next page begins; None after the last."""

    rows: Sequence[Mapping[str, Any]]
    last: Any


def _page(name: str, table: str, key: str, kind: str, columns: Sequence[str], example: Any) -> Statement:
    whole = "concat_ws(' ', " + ", ".join(f"{column}::text" for column in columns) + ")"
    values = ", ".join(f"'{column}', {column}" for column in columns)
    return Statement(
        name,
        f"""
        with page as materialized (
            select {key}, {", ".join(columns)} from @{table} where {key} > %(after)s::{kind} order by {key}
            limit %(limit)s
        )
        select (select {key}::text from page order by {key} desc limit 1) as last, coalesce((
            select json_agg(json_build_object('id', {key}, 'was', md5({whole}), {values}))
            from page where {whole} like '%%"jp_enc"%%'
        ), '[]') as rows
        """,
        {"after": example, "limit": PAGE},
    )


def _write(name: str, table: str, key: str, kind: str, columns: Sequence[str]) -> Statement:
    whole = "concat_ws(' ', " + ", ".join(f"t.{column}::text" for column in columns) + ")"
    return Statement(
        name,
        f"""
        update @{table} as t set {", ".join(f"{column} = r.{column}" for column in columns)}
        from json_to_recordset(%(rows)s) as r(id {kind}, was text, {", ".join(f"{column} jsonb" for column in columns)})
        where t.{key} = r.id and md5({whole}) = r.was
        """,
        {"rows": "[]"},
    )


_JOBS = ("jobs", "job_id", "uuid", ("payload", "result", "message"))
_LETTERS = ("dead_letter_jobs", "dlq_id", "bigint", ("payload", "edited_payload"))
SEALED_JOBS, SEALED_LETTERS = _page("sealed_jobs", *_JOBS, _NO_ID), _page("sealed_letters", *_LETTERS, 0)
RESEAL_JOBS, RESEAL_LETTERS = _write("reseal_jobs", *_JOBS), _write("reseal_letters", *_LETTERS)

#: By table: what reads a page, what writes rows, and what the first page comes after.
TABLES: Mapping[str, tuple[Statement, Statement, Any]] = {
    "jobs": (SEALED_JOBS, RESEAL_JOBS, _NO_ID),
    "dead_letter_jobs": (SEALED_LETTERS, RESEAL_LETTERS, 0),
}


def page(transaction: Transaction, table: str, after: Any = None) -> Page:
    """Read a page of a table.

    :param after: the last of the page before.
    """
    read, _, first = TABLES[table]
    (found,) = transaction.rows(read, after=first if after is None else after, limit=PAGE)
    return Page(found["rows"], found["last"])


def write(transaction: Transaction, table: str, rows: Sequence[Mapping[str, Any]]) -> int:
    """Write rows that are encrypted again, but for those that have changed meanwhile; tells how many."""
    return transaction.count(TABLES[table][1], rows=json.dumps(rows))
