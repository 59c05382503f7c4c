"""Jobs that submit others under a key."""

from __future__ import annotations

from rescue_jobs import brief, mark

from jobplatform import current_job, job


@job(retry={"base": 0.05})
def parent(directory: str, name: str) -> str:
    """Submit a job once, in the first attempt and again in the second."""
    mark(directory, name)
    once = brief.using(idempotency_key=f"child of {name}")
    child = once.submit(directory, "child")
    assert once.submit(directory, "child").id == child.id
    if current_job().attempt == 1:
        raise ConnectionError("no luck yet")
    return str(child.id)
