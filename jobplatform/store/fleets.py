"""How many workers each pool is to have, and what its workers are asked to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobplatform.store.database import Transaction
from jobplatform.store.statement import Statement

_WISH = """
    insert into @fleet_wishes as w (pool, wanted, published, reason, asked_by, asked_at)
    values (%(pool)s, %(wanted)s, %(wanted)s, %(reason)s, %(by)s, now())
    on conflict (pool) do update
    set wanted = excluded.wanted, published = greatest(w.published, excluded.wanted), reason = excluded.reason,
        asked_by = excluded.asked_by, asked_at = excluded.asked_at
"""

WISH = Statement(
    "wish_workers",
    f"{_WISH} where w.wanted <> excluded.wanted or w.asked_by <> excluded.asked_by",
    {"pool": "worker", "wanted": 3, "reason": "a peak at noon", "by": "me@host"},
)

# What somebody else has asked for holds.
FOLLOW = Statement(
    "follow_demand",
    f"{_WISH} where w.wanted <> excluded.wanted and w.asked_by = excluded.asked_by",
    {"pool": "worker", "wanted": 3, "reason": "a peak at noon", "by": "scaler"},
)

PUBLISH = Statement(
    "publish_wish",
    "update @fleet_wishes set published = %(published)s where pool = %(pool)s and published <> %(published)s",
    {"pool": "worker", "published": 3},
)

READ_WISH = Statement(
    "read_wish",
    "select pool, wanted, published, reason, asked_by, asked_at from @fleet_wishes where pool = %(pool)s",
    {"pool": "worker"},
)

LIST_DUTIES = Statement(
    "list_duties",
    """
    select worker_id, duty, duty_by, duty_since from @workers where duty <> 'work' and status <> 'gone'
    """,
    {},
)


def wish(transaction: Transaction, pool: str, wanted: int, reason: str, by: str) -> None:
    """Ask for so many workers; what is published grows at once, and shrinks only when workers that run nothing may go.

    :param by: who asks.
    """
    transaction.count(WISH, pool=pool, wanted=wanted, reason=reason, by=by)


def follow(transaction: Transaction, pool: str, wanted: int, reason: str, by: str) -> None:
    """Ask for so many workers, as ``wish`` does, unless what somebody else has asked for holds."""
    transaction.count(FOLLOW, pool=pool, wanted=wanted, reason=reason, by=by)


def publish(transaction: Transaction, pool: str, published: int) -> None:
    """Note how many workers the home of a pool is told to run."""
    transaction.count(PUBLISH, pool=pool, published=published)


def read(transaction: Transaction, pool: str) -> Mapping[str, Any] | None:
    """Give what was asked for last, None when nothing was."""
    found = transaction.rows(READ_WISH, pool=pool)
    return found[0] if found else None


def duties(transaction: Transaction) -> dict[str, Mapping[str, Any]]:
    """Give the duties of all workers that are asked for anything but to work, by node."""
    return {row["worker_id"]: row for row in transaction.rows(LIST_DUTIES)}
