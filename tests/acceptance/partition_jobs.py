"""Jobs that need PostgreSQL while they run."""

from __future__ import annotations

from rescue_jobs import mark

from jobplatform import current_job, job


@job(max_retries=1_000, retry={"base": 0.5, "factor": 1.0, "jitter": False})
def mark_once(directory: str, name: str) -> None:
    """Leave a mark, as an effect that is done once."""
    with current_job().effect("mark") as is_first:
        if is_first:
            mark(directory, name)
