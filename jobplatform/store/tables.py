"""Which tables are ours, with their columns, in an order in which each follows those that it refers to."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from graphlib import TopologicalSorter
from importlib import import_module
from typing import NamedTuple

from jobplatform.store.database import Transaction
from jobplatform.store.statement import Statement

LIST_TABLES = Statement(
    "list_tables",
    """
    select c.relname::text as name,
        array(select attname::text from pg_attribute where attrelid = c.oid and attnum > 0 and not attisdropped
            and attgenerated = '' order by attnum) as columns,
        (select attname::text from pg_attribute
            where attrelid = c.oid and attidentity <> '' and not attisdropped) as identity,
        array(select distinct r.relname::text from pg_constraint k join pg_class r on r.oid = k.confrelid
            where k.conrelid = c.oid and k.contype = 'f' and k.confrelid <> c.oid) as refers
    from pg_class c
    where c.relnamespace = %(schema)s::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
        and c.relname = any(%(names)s::text[])
    order by c.relname
    """,
    {"schema": "pg_catalog", "names": ["jobs"]},
)


class Table(NamedTuple):
    """A table of ours.

    :param identity: the column that numbers its rows, None where they are named otherwise.
    """

    name: str
    columns: tuple[str, ...]
    identity: str | None


def ours(transaction: Transaction) -> list[Table]:
    """List our tables; one that a statement of the store names, and that is there, is ours."""
    found = transaction.rows(LIST_TABLES, schema=f'"{transaction.schema}"', names=sorted(_named()))
    tables = {row["name"]: Table(row["name"], tuple(row["columns"]), row["identity"]) for row in found}
    order = _ordered({row["name"]: row["refers"] for row in found})
    return [tables[name] for name in order if name in tables]


def _ordered(refers: Mapping[str, Iterable[str]]) -> Sequence[str]:
    return list(TopologicalSorter({name: sorted(refers[name]) for name in sorted(refers)}).static_order())


@cache
def _named() -> frozenset[str]:
    import jobplatform.store

    for module in pkgutil.iter_modules(jobplatform.store.__path__):
        import_module(f"jobplatform.store.{module.name}")
    return frozenset(name for statement in Statement.registry.values() for name in statement.tables)
