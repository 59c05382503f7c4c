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


def record(transaction: Transaction, rows: Sequence[Mapping[str, Any]]) -> int:
    """Write the logs of some attempts; what is there stays."""
    return transaction.count(RECORD_LOGS, rows=json.dumps(rows)) if rows else 0


def read(transaction: Transaction, job_id: str, attempt: int | None = None) -> Mapping[str, Any] | None:
    """Read the log of an attempt, or else of the last one that has one; None when there is none."""
    return next(iter(transaction.rows(READ_LOG, job_id=job_id, attempt=attempt)), None)
