"""The rows of ``resubmissions``: which job was submitted anew as which, with another payload."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobplatform.store.database import Transaction
from jobplatform.store.statement import Statement

_ID = "00000000-0000-7000-8000-000000000000"

READ_ORIGINAL = Statement(
    "read_original",
    """
    select job_id::text, job_type, status, queue, priority, payload, tenant, tags, message->'secret' as secret,
        coalesce(message ? 'inputs', false) as awaits
    from @jobs where job_id = %(job_id)s::uuid
    """,
    {"job_id": _ID},
)

# The job that stands for a submission with a key is linked to the first that it was submitted anew from. The job of a
# plain task of Celery has its row only once its message was heard of: what it comes from is in the audit log alone.
LINK_JOBS = Statement(
    "link_jobs",
    """
    insert into @resubmissions (job_id, of_job_id, by)
    select job_id, %(of_job_id)s::uuid, %(by)s from @jobs where job_id = %(job_id)s::uuid
    on conflict (job_id) do nothing
    """,
    {"job_id": _ID, "of_job_id": _ID, "by": "ann"},
)


def original(transaction: Transaction, job_id: str) -> Mapping[str, Any] | None:
    """Read what a job is submitted anew from; None when it is not there."""
    return next(iter(transaction.rows(READ_ORIGINAL, job_id=job_id)), None)


def link(transaction: Transaction, job_id: str, of_job_id: str, by: str) -> None:
    """Note that a job was submitted anew as another."""
    transaction.count(LINK_JOBS, job_id=job_id, of_job_id=of_job_id, by=by)
