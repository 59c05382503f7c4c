"""The rows of ``saved_filters``: filters of jobs that people keep, each under a name of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jobplatform.store.database import Transaction
from jobplatform.store.statement import Statement

Row = Mapping[str, Any]

# Whoever saves two at once may have one more than so many, which harms nobody.
SAVE_FILTER = Statement(
    "save_filter",
    """
    insert into @saved_filters (owner, name, filter, columns)
    select %(owner)s, %(name)s, %(filter)s, %(columns)s::text[]
    where exists (select from @saved_filters where owner = %(owner)s and name = %(name)s)
        or (select count(*) from @saved_filters where owner = %(owner)s) < %(most)s
    on conflict (owner, name) do update
    set filter = excluded.filter, columns = excluded.columns, saved_at = excluded.saved_at
    """,
    {"owner": "ann", "name": "mine", "filter": "state:failed", "columns": ["queue"], "most": 50},
)

LIST_FILTERS = Statement(
    "list_filters",
    "select name, filter, columns, saved_at from @saved_filters where owner = %(owner)s order by name limit %(limit)s",
    {"owner": "ann", "limit": 50},
)

REMOVE_FILTER = Statement(
    "remove_filter",
    "delete from @saved_filters where owner = %(owner)s and name = %(name)s",
    {"owner": "ann", "name": "mine"},
)


def save(transaction: Transaction, owner: str, name: str, filter: str, columns: Sequence[str], most: int) -> bool:
    """Keep a filter in place of the one of the same name; False when there are too many."""
    values = {"owner": owner, "name": name, "filter": filter, "columns": list(columns), "most": most}
    return transaction.count(SAVE_FILTER, **values) > 0


def listed(transaction: Transaction, owner: str, limit: int) -> Sequence[Row]:
    """List somebody's filters by name."""
    return transaction.rows(LIST_FILTERS, owner=owner, limit=limit)


def remove(transaction: Transaction, owner: str, name: str) -> bool:
    """Keep a filter no more; False when there is none of the name."""
    return transaction.count(REMOVE_FILTER, owner=owner, name=name) > 0
