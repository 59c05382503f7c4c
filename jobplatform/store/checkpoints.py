"""The states that running jobs have saved, in the rows of ``jobs``."""

from __future__ import annotations

from typing import Any

from jobplatform.errors import Superseded
from jobplatform.store.database import Transaction
from jobplatform.store.statement import Statement

_ID = "00000000-0000-7000-8000-000000000000"

SAVE_CHECKPOINT = Statement(
    "save_checkpoint",
    """
    with saved as (
        update @jobs set checkpoint = %(state)s::jsonb, updated_at = now()
        where job_id = %(job_id)s::uuid and attempt <= %(attempt)s
        returning attempt
    )
    select exists (select from saved) as saved from @jobs where job_id = %(job_id)s::uuid
    """,
    {"job_id": _ID, "attempt": 1, "state": "{}"},
)

READ_CHECKPOINT = Statement(
    "read_checkpoint", "select checkpoint from @jobs where job_id = %(job_id)s::uuid", {"job_id": _ID}
)


def save(transaction: Transaction, job_id: str, attempt: int, state: str) -> bool:
    """Save the state of a job, and tell whether its row is there.

    :param state: JSON text.
    :raises Superseded: when the job has a newer attempt.
    """
    rows = transaction.rows(SAVE_CHECKPOINT, job_id=job_id, attempt=attempt, state=state)
    if rows and not rows[0]["saved"]:
        raise Superseded(f"checkpoint: attempt {attempt} of job {job_id} is superseded by a newer one; end here")
    return bool(rows)


def read(transaction: Transaction, job_id: str) -> Any:
    """Read the state that a job saved last, None when it saved none."""
    rows = transaction.rows(READ_CHECKPOINT, job_id=job_id)
    return rows[0]["checkpoint"] if rows else None
