"""That a job is of a batch, as its submission and its message say it."""

from __future__ import annotations

from typing import Any

from celery._state import get_current_worker_task

from jobplatform.errors import JobOptionError
from jobplatform.records import job_id_of

#: Lets a running job know its batch without asking anybody.
BATCH_HEADER = "jp_batch"


def batch_id_of(value: Any) -> str | None:
    """Read the option ``batch``: a batch, or its id.

    :raises JobOptionError: when it is neither.
    """
    if value is None:
        return None
    batch_id = getattr(value, "id", value)
    if not isinstance(batch_id, str) or job_id_of(batch_id) != batch_id:
        raise JobOptionError(f"batch: {value!r} is no batch; give what batch() or find_batch() returns, or its id")
    return batch_id


def headers_of(batch_id: str | None) -> dict[str, str]:
    """Give the headers of the message of a job."""
    return {BATCH_HEADER: batch_id} if batch_id else {}


def message_of(batch_id: str | None) -> dict[str, Any] | None:
    """Give what the message of a job holds beyond its columns."""
    return {"headers": headers_of(batch_id)} if batch_id else None


def running_batch() -> str | None:
    """Give the batch of the job that runs here, None when there is none."""
    task = get_current_worker_task()
    return task.request.get(BATCH_HEADER) if task else None
