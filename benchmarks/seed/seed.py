"""Filling the tables of a database that holds nothing yet."""

from __future__ import annotations

import time
from typing import Any

import psycopg2

from benchmarks.seed.statements import FILLINGS, PICK, Filling
from benchmarks.stacks import BenchmarkError, say

#: Jobs that are made by one statement.
_PART = 250_000


def seed(database_url: str, schema: str, jobs: int, number: int) -> None:
    """Fill the tables.

    :param jobs: how many.
    :param number: what draws all values; the same number makes the same rows, but for their times.
    :raises BenchmarkError: when there is something in them already.
    """
    connection = psycopg2.connect(database_url)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            _require_empty(cursor, schema)
            cursor.execute("set maintenance_work_mem = '1GB'; set synchronous_commit = off")
            cursor.execute(PICK.format(seed=number))
            cursor.execute("select quote_literal(now()) || '::timestamptz'")
            values = {"schema": schema, "jobs": jobs, "seed": number, "now": _first(cursor)}
            for filling in FILLINGS:
                _fill(cursor, filling, values)
            cursor.execute("vacuum (analyze)")
    finally:
        connection.close()


def _require_empty(cursor: Any, schema: str) -> None:
    cursor.execute(f"select exists (select from {schema}.jobs)")
    if _first(cursor):
        raise BenchmarkError(f"schema {schema}: there are jobs already; name another database or schema")


def _first(cursor: Any) -> Any:
    return next(iter(cursor.fetchall()))[0]


def _fill(cursor: Any, filling: Filling, values: dict[str, Any]) -> None:
    """Fill a table; its indexes, but those that hold a constraint, are made again when all rows are there."""
    began, rows, schema, jobs = time.monotonic(), 0, values["schema"], values["jobs"]
    indexes = _indexes(cursor, schema, filling.table)
    for name, _ in indexes:
        cursor.execute(f"drop index {schema}.{name}")
    for first in range(1, jobs + 1, _PART if filling.in_parts else jobs):
        last = min(first + (_PART if filling.in_parts else jobs) - 1, jobs)
        cursor.execute(filling.text.format(first=first, last=last, **values))
        rows += cursor.rowcount
    for _, text in indexes:
        cursor.execute(text)
    cursor.execute(f"vacuum (analyze) {schema}.{filling.table}")
    say(f"  {filling.table}: {rows:,} rows, {time.monotonic() - began:.0f} s")


def _indexes(cursor: Any, schema: str, table: str) -> list[tuple[str, str]]:
    cursor.execute(
        """
        select c.relname, pg_get_indexdef(i.indexrelid) from pg_index i join pg_class c on c.oid = i.indexrelid
        where i.indrelid = %s::regclass and not i.indisprimary
            and not exists (select from pg_constraint k where k.conindid = i.indexrelid)
        """,
        (f"{schema}.{table}",),
    )
    return list(cursor.fetchall())
