"""What became of the jobs that a job has waited for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jobplatform.errors import StoreUnavailable
from jobplatform.jobs.platform import Platform
from jobplatform.secrecy.sealing import unsealed
from jobplatform.states import State


@dataclass(frozen=True, slots=True)
class Upstream:
    """A job that was waited for; ``result`` is a JSON value, None unless it completed."""

    job_id: str
    job_type: str
    status: State
    result: Any
    error_type: str | None
    error_message: str | None


def read(platform: Platform, job_id: str) -> list[Upstream]:
    """Read what became of the jobs that a job has waited for.

    :raises StoreUnavailable: when PostgreSQL is away.
    """
    from jobplatform.store import dependencies
    from jobplatform.store.database import UNREACHABLE

    try:
        rows = platform.database.once(lambda session: dependencies.upstream(session, job_id))
    except UNREACHABLE as error:
        raise StoreUnavailable(f"what job {job_id} has waited for cannot be read: {error}; try again") from error
    ring = platform.settings.encryption_keys
    opened = [unsealed(ring, row["result"]) if ring else row["result"] for row in rows]
    return [
        Upstream(**{**row, "status": State(row["status"]), "result": result})
        for row, result in zip(rows, opened, strict=True)
    ]
