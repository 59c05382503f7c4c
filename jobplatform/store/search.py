"""Jobs that match a filter, newest first, each page at the same cost however many jobs there are.

An index gives the jobs of one part of the filter in order; the rest is asked of each. A page looks at so many jobs at
most, in steps for as long as there is time, and where that was not enough to fill it, it says how far it came, and the
next one goes on there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, NamedTuple

from jobplatform.states import State
from jobplatform.store.database import Transaction
from jobplatform.store.listing import EXAMPLE, MATCHES, JobFilter, Row, parameters
from jobplatform.store.shapes.job import JobListed
from jobplatform.store.statement import Statement
from jobplatform.store.stride import stride

#: Jobs that one page looks at: those of one time lie side by side, the others have to be fetched one by one.
LOOK, LOOK_APART = 10_000, 5_000
#: A page looks at so many times its rows first, and at so many at least.
_FIRST, _LEAST = 2, 100
#: Where a page ended: when its last job was created, and that job's id.
Place = tuple[datetime, str]

# The order names the table, since a bare job_id would be the text of the output, which has no index.
_ORDER = "order by j.created_at desc, j.job_id desc"
_WINDOW = """(%(created_after)s::timestamptz is null or created_at >= %(created_after)s)
            and (%(created_before)s::timestamptz is null or created_at < %(created_before)s)
            and (%(before_time)s::timestamptz is null
                or (created_at, job_id) < (%(before_time)s::timestamptz, %(before_id)s::uuid))"""
_COLUMNS = """job_id::text, job_type, status, priority, queue, attempt, retry_count, max_retries, created_at,
        updated_at, scheduled_at, started_at, completed_at, due_at, worker_id, error_type,
        left(error_message, 500) as error_message, tags, tenant, root_id::text, parent_id::text, batch_id::text"""


def _where(*conditions: str) -> str:
    # Each part has an order and an end of its own, so that an index gives it and PostgreSQL merges them.
    parts = (f"(select * from @jobs as j where {each} and {_WINDOW} {_ORDER} limit %(look)s)" for each in conditions)
    return " union all ".join(parts)


def _by_state(*conditions: str) -> str:
    # The planner leaves out what is not asked for, and merges the rest in order.
    each = (f"status = '{state}' and '{state}' = any(%(from_states)s::text[])" for state in State)
    return _where(*(" and ".join((known, *conditions)) for known in each))


#: What an index gives in order, by the part of the filter that chooses it.
_SOURCES = {
    "time": _where("true"),
    "state": _by_state(),
    "type": _by_state("job_type = %(job_type)s"),
    "error": _where("error_type = %(error_type)s"),
    "tenant": _where("tenant = %(tenant)s"),
    "batch": _where("batch_id = %(batch_id)s::uuid"),
    "root": _where("root_id = %(root_id)s::uuid and job_id <> %(root_id)s::uuid", "job_id = %(root_id)s::uuid"),
}
_LOOKED = {name: f"(select * from ({source}) as j {_ORDER} limit %(look)s) as j" for name, source in _SOURCES.items()}
_EXAMPLE = {**EXAMPLE, "from_states": ["FAILED", "RETRYING"], "look": LOOK}


def _statements(name: str, sql: str) -> dict[str, Statement]:
    return {
        source: Statement(f"{name}_by_{source}", sql.replace("{looked}", looked), _EXAMPLE)
        for source, looked in _LOOKED.items()
    }


def _finding(name: str, columns: str) -> dict[str, Statement]:
    # All are numbered, so that the last one tells where the next step begins, also where it does not match.
    numbered = f"select *, row_number() over ({_ORDER}) as place, ({MATCHES}) is true as matches from {{looked}}"
    wanted = "matches or place = %(look)s order by place limit %(limit)s + 1"
    return _statements(name, f"select {columns}, place, matches from ({numbered}) as j where {wanted}")


FIND_JOBS = _finding("find_jobs", _COLUMNS)
FIND_IDS = _finding("find_ids", "job_id::text, created_at")
COUNT_FOUND = _statements(
    "count_found",
    f"select count(*) as jobs from (select from {{looked}} where {MATCHES} limit %(limit)s) as found",
)
FIND_END = _statements(
    "find_end", f"select created_at, job_id::text from {{looked}} {_ORDER} offset %(look)s - 1 limit 1"
)


class Reach(NamedTuple):
    """How far a page looked that found too few jobs: at so many, back to a time."""

    looked: int
    back_to: datetime


class Found(NamedTuple):
    """A page of jobs.

    :param next: where the next one begins, None when there is none.
    :param reach: how far was looked, None when the page is full or all was looked at.
    """

    rows: Sequence[Annotated[Row, JobListed]]
    next: Place | None
    reach: Reach | None = None


def find(
    transaction: Transaction,
    filter: JobFilter,
    limit: int,
    before: Place | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Found:
    """List jobs that match, newest first.

    :param limit: the most rows of the page.
    :param before: where the page before this one ended.
    :param clock: steady seconds.
    """
    return _page(transaction, FIND_JOBS, filter, limit, before, clock)


def find_ids(transaction: Transaction, filter: JobFilter, limit: int, before: Place | None = None) -> Found:
    """List the ids of jobs that match, as ``find`` lists the jobs."""
    return _page(transaction, FIND_IDS, filter, limit, before, time.monotonic)


def count(
    transaction: Transaction, filter: JobFilter, cap: int, before: Place | None = None
) -> tuple[int, Place | None]:
    """Count the jobs that match among those that one page looks at.

    :param cap: where counting stops.
    :returns: the number, and where the rest begins, None when all was looked at.
    """
    source, values = asked(filter, cap, before)
    (row,) = transaction.rows(COUNT_FOUND[source], **values)
    return int(row["jobs"]), _end(transaction, source, values)


def _page(
    transaction: Transaction,
    statements: dict[str, Statement],
    filter: JobFilter,
    limit: int,
    before: Place | None,
    clock: Callable[[], float],
) -> Found:
    source, values = asked(filter, limit + 1, before)
    began, most, rows, looked, slowest = clock(), values["look"], list[Row](), 0, 0.0
    at, step = began, min(max(_FIRST * limit, _LEAST), most)
    while True:
        values |= {"look": step, "limit": limit + 1 - len(rows)}
        found = transaction.rows(statements[source], **values)
        rows += [_bare(row) for row in found if row["matches"]]
        if len(rows) > limit:
            return Found(rows[:limit], _place(rows[limit - 1]))
        if not found or found[-1]["place"] < step:
            return Found(rows, None)
        end, before_step, at = _place(found[-1]), at, clock()
        looked, slowest = looked + step, max(slowest, (at - before_step) / step)
        step = stride(looked, most, at - began, slowest)
        if not step:
            return Found(rows, end, Reach(looked, end[0]))
        values |= {"before_time": end[0], "before_id": end[1]}


def _bare(row: Row) -> Row:
    return {name: value for name, value in row.items() if name not in ("place", "matches")}


def _place(row: Row) -> Place:
    return row["created_at"], row["job_id"]


def _end(transaction: Transaction, source: str, values: dict[str, Any]) -> Place | None:
    rows = transaction.rows(FIND_END[source], **values)
    return _place(rows[0]) if rows else None


def asked(filter: JobFilter, limit: int, before: Place | None) -> tuple[str, dict[str, Any]]:
    """Give the source of a page and the parameters of its statements."""
    source, states = source_of(filter), list(filter.states or map(str, State))
    look = LOOK if source == "time" else LOOK_APART
    return source, {**parameters(filter, limit, before), "from_states": states, "look": look}


def source_of(filter: JobFilter) -> str:
    """Choose the part of a filter whose index leaves the fewest jobs to be looked at.

    Most jobs are completed, so that this state chooses little.
    """
    few = filter.states is not None and State.COMPLETED not in filter.states
    ranked = (
        ("root", filter.root_id),
        ("batch", filter.batch_id),
        ("error", filter.error_type),
        ("type", filter.job_type),
        ("state", few or None),
        ("tenant", filter.tenant),
    )
    return next((name for name, value in ranked if value is not None), "time")
