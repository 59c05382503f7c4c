"""The rows of ``sign_in_slots``: how often somebody may try to sign in, in constant space.

Each slot is a bucket that runs dry at a steady rate, kept as the one time at which it will be empty (the generic cell
rate algorithm: ITU-T I.371, annex A; a leaky bucket as a meter).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from jobplatform.store.database import Transaction
from jobplatform.store.statement import Statement

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
#: Slots of each kind.
SLOTS = 4_096


class Bucket(NamedTuple):
    """A bucket.

    :param slot: where it is kept.
    :param every: seconds after which one more try is free.
    :param burst: tries that are free at once.
    """

    slot: int
    every: float
    burst: int


# Rows are locked in one order, so that two who try at once do not wait for each other.
TRY_SIGN_IN = Statement(
    "try_sign_in",
    """
    insert into @sign_in_slots as s (slot, free_at)
    select slot, %(now)s + every * interval '1 second'
    from unnest(%(slots)s::int[], %(every)s::float8[]) as b(slot, every) order by slot
    on conflict (slot) do update
    set free_at = greatest(s.free_at, %(now)s) + (excluded.free_at - %(now)s)
    where s.free_at <= %(now)s + (excluded.free_at - %(now)s)
        * ((%(bursts)s::int[])[array_position(%(slots)s::int[], excluded.slot)] - 1)
    returning slot
    """,
    {"now": _NOW, "slots": [1], "every": [30.0], "bursts": [10]},
)

READ_SLOTS = Statement(
    "read_sign_in_slots",
    "select slot, free_at from @sign_in_slots where slot = any(%(slots)s::int[])",
    {"slots": [1]},
)

CLEAR_SLOT = Statement("clear_sign_in_slot", "delete from @sign_in_slots where slot = %(slot)s", {"slot": 1})


def attempt(transaction: Transaction, buckets: Sequence[Bucket], now: datetime) -> float:
    """Note a try in each of some buckets; returns the seconds after which to come again, 0 if it is free in all."""
    slots = [bucket.slot for bucket in buckets]
    values = {"every": [bucket.every for bucket in buckets], "bursts": [bucket.burst for bucket in buckets]}
    taken = {row["slot"] for row in transaction.rows(TRY_SIGN_IN, now=now, slots=slots, **values)}
    full = [bucket for bucket in buckets if bucket.slot not in taken]
    if not full:
        return 0.0
    ends: Mapping[int, datetime] = {
        row["slot"]: row["free_at"] for row in transaction.rows(READ_SLOTS, slots=[bucket.slot for bucket in full])
    }
    return max((_wait(bucket, ends[bucket.slot], now) for bucket in full if bucket.slot in ends), default=1.0)


def clear(transaction: Transaction, slot: int) -> None:
    """Forget the tries of a slot."""
    transaction.count(CLEAR_SLOT, slot=slot)


def _wait(bucket: Bucket, free_at: datetime, now: datetime) -> float:
    free = free_at - timedelta(seconds=bucket.every * (bucket.burst - 1))
    return max(1.0, (free - now).total_seconds())
