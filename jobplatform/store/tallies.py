"""How the counts of batches are kept: changes that were noted are added up, and a batch that is over is found once."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any, NamedTuple

from jobplatform.store.database import Transaction
from jobplatform.store.statement import Statement
from jobplatform.tally import Change, Tally

_ID = "00000000-0000-7000-8000-000000000000"
FIELDS = """b.batch_id::text, b.name, b.created_at, b.total, b.completed, b.failed, b.cancelled, b.closed_at,
        b.cancelled_at, b.failure_at, b.success_at, b.complete_at, b.exhausted_at, b.began_at, b.rated_at, b.rate"""
# In the words of idx_batches_cancelling and idx_batches_ripe.
UNCANCELLED = "cancelled_at is not null and (complete_at is null or completed + failed + cancelled < total)"
_RIPE = """closed_at is not null and completed + failed + cancelled = total and (complete_at is null
            or (success_at is null and completed = total) or (exhausted_at is null and failed > 0))"""


class Outlook(NamedTuple):
    """What there is to do for batches."""

    changes: bool
    ripe: bool
    cancelling: bool


LOOK_OUT = Statement(
    "look_out",
    f"""
    select exists (select from @batch_changes) as changes, exists (select from @batches where {_RIPE}) as ripe,
        exists (select from @batches where {UNCANCELLED}) as cancelling
    """,
    {},
)

TAKE_CHANGES = Statement(
    "take_changes",
    """
    with taken as (
        delete from @batch_changes where change_id in (
            select change_id from @batch_changes order by change_id limit %(limit)s for update skip locked)
        returning batch_id, added, completed, failed, cancelled
    )
    select batch_id::text, sum(added)::int as added, sum(completed)::int as completed, sum(failed)::int as failed,
        sum(cancelled)::int as cancelled, bool_or(failed > 0) as failing
    from taken group by batch_id
    """,
    {"limit": 1},
)

# Whoever adds jobs to a batch goes on meanwhile.
LOCK_TALLIES = Statement(
    "lock_tallies",
    f"""
    select {FIELDS}, b.callbacks from @batches b where batch_id = any(%(batch_ids)s::uuid[])
    order by batch_id for no key update
    """,
    {"batch_ids": [_ID]},
)

WRITE_TALLIES = Statement(
    "write_tallies",
    """
    update @batches as b
    set total = r.total, completed = r.completed, failed = r.failed, cancelled = r.cancelled,
        failure_at = to_timestamp(r.failure_at), success_at = to_timestamp(r.success_at),
        complete_at = to_timestamp(r.complete_at), exhausted_at = to_timestamp(r.exhausted_at),
        began_at = to_timestamp(r.began_at), rated_at = to_timestamp(r.rated_at), rate = r.rate
    from json_to_recordset(%(rows)s) as r(batch_id uuid, total bigint, completed bigint, failed bigint,
        cancelled bigint, failure_at float8, success_at float8, complete_at float8, exhausted_at float8,
        began_at float8, rated_at float8, rate float8)
    where b.batch_id = r.batch_id
    """,
    {"rows": "[]"},
)

# One to which somebody is adding is locked by them, and looked at again later.
LOCK_RIPE = Statement(
    "lock_ripe",
    f"select batch_id::text from @batches where {_RIPE} order by batch_id limit %(limit)s for update skip locked",
    {"limit": 1},
)

# What was noted before the batch was locked is seen by this statement, which begins after that.
READ_RIPE = Statement(
    "read_ripe",
    f"""
    select {FIELDS}, b.callbacks from @batches b where batch_id = any(%(batch_ids)s::uuid[])
        and not exists (select from @batch_changes c where c.batch_id = b.batch_id)
    order by batch_id
    """,
    {"batch_ids": [_ID]},
)


class Kept(NamedTuple):
    """The counts of a batch, and by event the rows of the jobs that call back."""

    tally: Tally
    callbacks: Mapping[str, Mapping[str, Any]]


def look_out(transaction: Transaction) -> Outlook:
    """Tell what there is to do, by looks into indexes that are empty most of the time."""
    return Outlook(**transaction.rows(LOOK_OUT)[0])


def take(transaction: Transaction, limit: int) -> dict[str, Change]:
    """Take noted changes away, the oldest first, and give their sums by batch.

    :param limit: changes at once.
    """
    rows = transaction.rows(TAKE_CHANGES, limit=limit)
    return {row["batch_id"]: Change(*(row[name] for name in Change._fields)) for row in rows}


def lock(transaction: Transaction, batch_ids: Collection[str]) -> list[Kept]:
    """Read and lock the counts of batches."""
    return _kept(transaction.rows(LOCK_TALLIES, batch_ids=list(batch_ids)))


def ripe(transaction: Transaction, limit: int) -> list[Kept]:
    """Read and lock batches whose jobs have all ended, to which nobody adds a job, and whose changes are all counted.

    :param limit: batches at once.
    """
    found = [row["batch_id"] for row in transaction.rows(LOCK_RIPE, limit=limit)]
    return _kept(transaction.rows(READ_RIPE, batch_ids=found)) if found else []


def write(transaction: Transaction, tallies: Iterable[Tally]) -> int:
    """Write the counts of batches that are locked, and which of their events were noted."""
    return transaction.count(WRITE_TALLIES, rows=json.dumps([asdict(tally) for tally in tallies], default=_seconds))


def _kept(rows: Iterable[Mapping[str, Any]]) -> list[Kept]:
    return [Kept(tally_of(row), row["callbacks"]) for row in rows]


def tally_of(row: Mapping[str, Any]) -> Tally:
    """Read the counts of a batch from its row."""
    return Tally(**{name: row[name] for name in Tally.__dataclass_fields__})


def _seconds(moment: datetime) -> float:
    return moment.timestamp()
