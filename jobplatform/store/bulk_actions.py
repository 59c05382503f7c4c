"""The rows of ``bulk_actions``: what is done to all jobs of a filter, page by page, and how far it is."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from jobplatform.store.database import Transaction
from jobplatform.store.search import Place
from jobplatform.store.statement import Statement

Row = Mapping[str, Any]

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_ID = "00000000-0000-7000-8000-000000000000"
_COLUMNS = """bulk_id, actor, via, permissions, queues, tenants, action, wish, filter, reason, expected, whole, status,
        place_time, place_id::text, counts, jobs, job_id::text, created_at, started_at, finished_at, cancelled_by"""


@dataclass(frozen=True, slots=True)
class NewBulk:
    """What is to be done, by whom and to which jobs.

    :param wish: the values of the action.
    :param filter: as people type it.
    :param expected: jobs that matched when it was asked for; as many or more, if not ``whole``.
    """

    actor: str
    via: str
    permissions: Collection[str]
    queues: Collection[str] | None
    tenants: Collection[str] | None
    action: str
    filter: str
    reason: str | None
    expected: int
    whole: bool
    wish: Mapping[str, Any] = field(default_factory=dict)


ADD_BULK = Statement(
    "add_bulk",
    """
    insert into @bulk_actions (actor, via, permissions, queues, tenants, action, wish, filter, reason, expected, whole)
    values (%(actor)s, %(via)s, %(permissions)s::text[], %(queues)s::text[], %(tenants)s::text[], %(action)s,
        %(wish)s::jsonb, %(filter)s, %(reason)s, %(expected)s, %(whole)s)
    returning bulk_id
    """,
    {"actor": "ann", "via": "token", "permissions": ["jobs.steer"], "queues": None, "tenants": None,
     "action": "jobs.cancel", "wish": "{}", "filter": "type:a", "reason": None, "expected": 1, "whole": True},
)  # fmt: skip

POINT_BULK = Statement(
    "point_bulk",
    "update @bulk_actions set job_id = %(job_id)s::uuid where bulk_id = %(bulk_id)s",
    {"bulk_id": 1, "job_id": _ID},
)

LOCK_BULK = Statement(
    "lock_bulk", f"select {_COLUMNS} from @bulk_actions where bulk_id = %(bulk_id)s for update", {"bulk_id": 1}
)

ADVANCE_BULK = Statement(
    "advance_bulk",
    """
    update @bulk_actions set status = case when %(last)s then 'done' else 'running' end, counts = %(counts)s::jsonb,
        jobs = jobs + %(jobs)s, place_time = %(place_time)s::timestamptz, place_id = %(place_id)s::uuid,
        started_at = coalesce(started_at, now()), finished_at = case when %(last)s then now() end
    where bulk_id = %(bulk_id)s
    """,
    {"bulk_id": 1, "last": False, "counts": "{}", "jobs": 0, "place_time": _NOW, "place_id": _ID},
)

CANCEL_BULK = Statement(
    "cancel_bulk",
    """
    update @bulk_actions set status = 'cancelled', cancelled_by = %(by)s, finished_at = now()
    where bulk_id = %(bulk_id)s and status in ('waiting', 'running')
    """,
    {"bulk_id": 1, "by": "ann"},
)

LIST_BULKS = Statement(
    "list_bulks",
    f"""
    select b.*, j.status as job_status from (
        select {_COLUMNS} from @bulk_actions
        where (%(before)s::bigint is null or bulk_id < %(before)s) and (%(bulk_id)s::bigint is null
            or bulk_id = %(bulk_id)s) and (%(actor)s::text is null or actor = %(actor)s)
        order by bulk_id desc limit %(limit)s
    ) b left join @jobs j on j.job_id = b.job_id::uuid
    order by b.bulk_id desc
    """,
    {"before": None, "bulk_id": None, "actor": "ann", "limit": 50},
)


def add(transaction: Transaction, new: NewBulk) -> int:
    """Write down what is to be done; gives its number."""
    values = {name: getattr(new, name) for name in NewBulk.__dataclass_fields__}
    lists = {name: None if values[name] is None else sorted(values[name]) for name in ("queues", "tenants")}
    known = {**values, **lists, "permissions": sorted(new.permissions), "wish": json.dumps(new.wish)}
    return int(transaction.rows(ADD_BULK, **known)[0]["bulk_id"])


def point(transaction: Transaction, bulk_id: int, job_id: str) -> None:
    """Say which job does it."""
    transaction.count(POINT_BULK, bulk_id=bulk_id, job_id=job_id)


def lock(transaction: Transaction, bulk_id: int) -> Row | None:
    """Read how far it is, and keep others from going on with it; None when there is none."""
    return next(iter(transaction.rows(LOCK_BULK, bulk_id=bulk_id)), None)


def advance(transaction: Transaction, bulk_id: int, jobs: int, counts: Mapping[str, int], place: Place | None) -> None:
    """Write down what one page did.

    :param jobs: that the page held.
    :param counts: of all pages so far.
    :param place: where the next page begins, None when this was the last.
    """
    time, job_id = place or (None, None)
    known = {"counts": json.dumps(counts), "place_time": time, "place_id": job_id}
    transaction.count(ADVANCE_BULK, bulk_id=bulk_id, jobs=jobs, last=place is None, **known)


def cancel(transaction: Transaction, bulk_id: int, by: str) -> bool:
    """Let it end before its next page; tells whether it had not ended."""
    return bool(transaction.count(CANCEL_BULK, bulk_id=bulk_id, by=by))


def listed(
    transaction: Transaction,
    limit: int,
    before: int | None = None,
    actor: str | None = None,
    bulk_id: int | None = None,
) -> Sequence[Row]:
    """List what is and was done, newest first.

    :param actor: only what this one asked for.
    """
    return transaction.rows(LIST_BULKS, limit=limit, before=before, actor=actor, bulk_id=bulk_id)
