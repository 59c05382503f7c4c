"""The rows of ``attempt_logs``: what the code of an attempt has logged."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from jobplatform.store.database import Transaction
from jobplatform.store.statement import Statement

RECORD_LOGS = Statement(
    "record_logs",
    """
    insert into @attempt_logs (job_id, attempt, logged_at, text, cut)
    select r.job_id, r.attempt, to_timestamp(r.at), r.text, r.cut
    from json_to_recordset(%(rows)s) as r(job_id uuid, attempt int, at float8, text text, cut int)
    where exists (select from @jobs j where j.job_id = r.job_id)
    on conflict do nothing
    """,
    {"rows": "[]"},
)

READ_LOG = Statement(
    "read_log",
    """
    select l.job_id::text, l.attempt, l.logged_at, l.text, l.cut from @attempt_logs l
    where l.job_id = %(job_id)s::uuid and (%(attempt)s::int is null or l.attempt = %(attempt)s)
    order by l.attempt desc limit 1
    """,
    {"job_id": "00000000-0000-7000-8000-000000000000", "attempt": 1},
)

#: Lines that end before the text that is shown were cut as well.
LIST_LOGS = Statement(
    "list_logs",
    """
    select attempt, logged_at, right(text, %(most)s) as text, length(text) > %(most)s as shortened, cut
        + length(left(text, greatest(0, length(text) - %(most)s)))
        - length(replace(left(text, greatest(0, length(text) - %(most)s)), E'\\n', '')) as cut
    from @attempt_logs where job_id = %(job_id)s::uuid order by attempt desc limit %(limit)s
    """,
    {"job_id": "00000000-0000-7000-8000-000000000000", "most": 16_000, "limit": 20},
)


def record(transaction: Transaction, rows: Sequence[Mapping[str, Any]]) -> int:
    """Write the logs of some attempts; what is there stays."""
    return transaction.count(RECORD_LOGS, rows=json.dumps(rows)) if rows else 0


def read(transaction: Transaction, job_id: str, attempt: int | None = None) -> Mapping[str, Any] | None:
    """Read the log of an attempt, or else of the last one that has one; None when there is none."""
    return next(iter(transaction.rows(READ_LOG, job_id=job_id, attempt=attempt)), None)


def ends(transaction: Transaction, job_id: str, most: int, limit: int) -> Sequence[Mapping[str, Any]]:
    """Read the last characters of the logs of a job, those of the newest attempts.

    :param most: characters of each.
    :param limit: how many logs.
    :returns: rows with ``cut``, the lines that are left out before the text, and ``shortened``, if its first line
        is not whole.
    """
    return transaction.rows(LIST_LOGS, job_id=job_id, most=most, limit=limit)
