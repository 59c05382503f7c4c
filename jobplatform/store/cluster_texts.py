"""What the fingerprints of clusters are made of, and how alike they are."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from jobplatform.store.database import Transaction
from jobplatform.store.statement import Statement

LIST_OPEN_TEXTS = Statement(
    "list_open_texts",
    """
    select fingerprint, text from @error_clusters where state = 'open' and merged_into is null
    order by last_seen desc limit %(limit)s
    """,
    {"limit": 500},
)

READ_VECTOR_EXTENSION = Statement("read_vector_extension", "select from pg_extension where extname = 'vector'", {})

# It can be planned only where the extension pgvector is.
COMPARE_VECTORS = Statement(
    "compare_vectors",
    """
    with texts as (
        select v.fingerprint, v.vector::text::vector
        from json_to_recordset(%(rows)s) as v(fingerprint text, vector json)
    )
    select a.fingerprint as one, b.fingerprint as other, 1 - (a.vector <=> b.vector) as likeness
    from texts a join texts b on a.fingerprint < b.fingerprint
    where (%(fingerprint)s::text is null or %(fingerprint)s in (a.fingerprint, b.fingerprint))
        and 1 - (a.vector <=> b.vector) >= %(least)s
    order by a.vector <=> b.vector, one, other limit %(limit)s
    """,
    {"rows": "[]", "fingerprint": None, "least": 0.7, "limit": 20},
    registered=False,
)


def open_texts(transaction: Transaction, limit: int = 500) -> dict[str, str]:
    """Read what the fingerprints of open clusters are made of, those seen last first."""
    return {row["fingerprint"]: row["text"] for row in transaction.rows(LIST_OPEN_TEXTS, limit=limit)}


def has_vectors(transaction: Transaction) -> bool:
    """Tell whether the extension pgvector is there."""
    return bool(transaction.rows(READ_VECTOR_EXTENSION))


def compare(
    transaction: Transaction, vectors: Mapping[str, Sequence[float]], fingerprint: str | None, least: float, limit: int
) -> list[tuple[str, str, float]]:
    """List the pairs of vectors whose cosine is largest, with pgvector.

    :param fingerprint: of which one is to be in each pair; None for all pairs.
    """
    rows = json.dumps([{"fingerprint": name, "vector": list(vector)} for name, vector in vectors.items()])
    found = transaction.rows(COMPARE_VECTORS, rows=rows, fingerprint=fingerprint, least=least, limit=limit)
    return [(row["one"], row["other"], row["likeness"]) for row in found]
