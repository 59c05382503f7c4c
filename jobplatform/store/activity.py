"""How much was written into each table: counters of the server, at the same cost whatever the tables hold."""

from __future__ import annotations

from jobplatform.store.database import Transaction
from jobplatform.store.statement import Statement

# The server adds up what a connection has written when it has been quiet for a while (PostgreSQL manual, 27.2.1), and
# sequences move at once: of both, whatever moves first tells.
COUNT_WRITES = Statement(
    "count_writes",
    """
    select relname as name, n_tup_ins + n_tup_upd + n_tup_del as writes from pg_stat_all_tables
    where schemaname = %(schema)s
    union all
    select sequencename, coalesce(last_value, 0) from pg_sequences where schemaname = %(schema)s
    """,
    {"schema": "public"},
)


def writes(transaction: Transaction) -> dict[str, int]:
    """Count what was written, by the name of a table or of a sequence of one; only that it grows means something."""
    return {row["name"]: row["writes"] for row in transaction.rows(COUNT_WRITES, schema=transaction.schema)}
