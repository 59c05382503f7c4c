"""Migrated schemas that one test uses after the other, each time as the migrations left them.

Migrating takes as much work as most tests do; emptying the few tables that a test has written takes next to none.
"""

from __future__ import annotations

import os
import uuid
from contextlib import closing, suppress
from dataclasses import replace
from functools import cache
from typing import Any

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor  # noqa: N812

from jobplatform.devstack.stack import DevStack
from jobplatform.settings import Settings
from jobplatform.store import migrate
from jobplatform.store.database import Database

#: The transaction that wrote each row of the catalogs about a schema, but for where its tables lie: any change shows.
_CATALOGS = """
    select md5(string_agg(said, ' ' order by said)) from (
        select concat_ws(' ', 'relation', oid, relname, relkind, relacl, reloptions, relowner, relrowsecurity, relnatts)
        from pg_class where relnamespace = %(it)s
        union all select concat_ws(' ', 'schema', oid, xmin) from pg_namespace where oid = %(it)s
        union all select concat_ws(' ', 'column', attrelid, attnum, a.xmin)
        from pg_attribute a join pg_class c on c.oid = attrelid where relnamespace = %(it)s
        union all select concat_ws(' ', 'default', adrelid, d.xmin)
        from pg_attrdef d join pg_class c on c.oid = adrelid where relnamespace = %(it)s
        union all select concat_ws(' ', 'trigger', t.oid, t.xmin)
        from pg_trigger t join pg_class c on c.oid = tgrelid where relnamespace = %(it)s
        union all select concat_ws(' ', 'policy', p.oid, p.xmin)
        from pg_policy p join pg_class c on c.oid = polrelid where relnamespace = %(it)s
        union all select concat_ws(' ', 'constraint', oid, xmin) from pg_constraint where connamespace = %(it)s
        union all select concat_ws(' ', 'function', oid, xmin) from pg_proc where pronamespace = %(it)s
        union all select concat_ws(' ', 'statistics', oid, xmin) from pg_statistic_ext where stxnamespace = %(it)s
    ) as catalogs (said)
"""
#: A table that was never written has no pages; one that was has some, be it that all its rows are gone again.
_WRITTEN = """
    select relname from pg_class
    where relnamespace = %(it)s and relkind = 'r' and relname <> %(version)s and pg_relation_size(oid) > 0
"""
_COUNTED = "select sequencename from pg_sequences where schemaname = %(schema)s and last_value is not null"
_FORGET = """
    select pg_clear_attribute_stats(schemaname, tablename, attname, inherited) from pg_stats
    where schemaname = %(schema)s
"""
_OTHERS = """
    select pid from pg_stat_activity
    where backend_type = 'client backend' and datname = current_database() and pid <> pg_backend_pid()
"""


class FreshSchemas:
    """The schemas of a stack that are free, each with what the catalogs said of it when it was made."""

    def __init__(self, stack: DevStack) -> None:
        self.stack = stack
        self._free: dict[str, str] = {}
        #: With who was connected before it was taken: what earlier tests have left open uses schemas of theirs.
        self._taken: dict[str, tuple[str, set[int]]] = {}

    def take(self) -> str:
        """Name a migrated schema in which nothing is."""
        name, catalogs = self._free.popitem() if self._free else self._make()
        with closing(self._connect()) as connection:
            self._taken[name] = catalogs, _others(connection.cursor())
        return name

    def give_back(self, name: str) -> None:
        """Empty a schema for the next test; one that was changed in another way, or may be used still, is not kept."""
        catalogs, before = self._taken.pop(name)
        # A test may have left the server in any state.
        with suppress(psycopg2.Error), closing(self._connect()) as connection, connection:
            cursor = connection.cursor()
            cursor.execute("set local lock_timeout = '2s'")
            if _others(cursor) <= before and _emptied(cursor, name, catalogs):
                connection.commit()
                self._free[name] = catalogs

    def _make(self) -> tuple[str, str]:
        name = f"t{os.getpid()}_{uuid.uuid4().hex[:6]}"
        database = Database(replace(Settings(), database_url=self.stack.database_url, schema=name))
        migrate.upgrade(database)
        database.close()
        with closing(self._connect()) as connection:
            return name, _catalogs(connection.cursor(), name)

    def _connect(self) -> Any:
        return psycopg2.connect(self.stack.database_url, connect_timeout=5)


@cache
def of(stack: DevStack) -> FreshSchemas:
    """Give the schemas of a stack, which the tests of this process share."""
    return FreshSchemas(stack)


def _catalogs(cursor: Cursor, name: str) -> str:
    cursor.execute(_CATALOGS.replace("%(it)s", "%(it)s::regnamespace"), {"it": name})
    (found,) = cursor.fetchone() or ()
    return str(found)


def _emptied(cursor: Cursor, name: str, catalogs: str) -> bool:
    """Empty the tables of a schema; returns False for one that was changed in another way."""
    if _catalogs(cursor, name) != catalogs:
        return False
    cursor.execute("select %s::regnamespace::oid", [name])
    (it,) = cursor.fetchone() or ()
    # No row may be deleted from the log of what people did, which is the last thing that a test wants to know here.
    cursor.execute("set local session_replication_role = replica")
    cursor.execute(_WRITTEN, {"it": it, "version": migrate.VERSION_TABLE})
    if tables := [sql.Identifier(name, table) for (table,) in cursor.fetchall()]:
        cursor.execute(sql.SQL("truncate {} restart identity cascade").format(sql.SQL(", ").join(tables)))
    cursor.execute(_COUNTED, {"schema": name})
    for (sequence,) in cursor.fetchall():
        cursor.execute(sql.SQL("alter sequence {} restart").format(sql.Identifier(name, sequence)))
    cursor.execute(_FORGET, {"schema": name})
    cursor.execute(sql.SQL("select version_num from {}").format(sql.Identifier(name, migrate.VERSION_TABLE)))
    return cursor.fetchall() == [(migrate.head(),)]


def _others(cursor: Cursor) -> set[int]:
    cursor.execute(_OTHERS)
    return {pid for (pid,) in cursor.fetchall()}
