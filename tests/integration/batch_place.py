"""Batches in a test: jobs, callbacks, and what the mirror and the controller do to their rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import jobplatform
from jobplatform import job
from jobplatform.maintenance.tallier import Tallier
from jobplatform.store import dependencies, jobs
from jobplatform.store.database import Database


@job(name="b.item")
def item(number: int = 0) -> None: ...


@job(name="b.tell")
def tell(batch: dict[str, Any], text: str = "") -> None: ...


class Place:
    """What the mirror and the controller do to the rows of jobs in batches."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.tallier = Tallier(database)

    def rows(self, sql: str = "select job_id::text as id, * from @jobs order by created_at, job_id") -> list[Any]:
        with self.database.session() as session:
            found = session.connection.exec_driver_sql(sql.replace("@", f'"{self.database.schema}".'))
            return list(found.mappings())

    def end(self, *job_ids: str, status: str = "COMPLETED", attempt: int = 1) -> None:
        rows = [{"job_id": job_id, "status": status, "attempt": attempt, "rank": 4} for job_id in job_ids]
        with self.database.transaction() as transaction:
            jobs.apply_transitions(transaction, rows)
            dependencies.settle(transaction, job_ids)

    def settle(self) -> Counter[str]:
        """Let the controller look until there is nothing to do."""
        total: Counter[str] = Counter()
        while counts := self.tallier.run_once(datetime.now(UTC)):
            total += counts
        return total

    def calls(self) -> list[Mapping[str, Any]]:
        """List the jobs that called back, by what they were called with."""
        return sorted(
            (row["payload"]["args"][0] for row in self.rows() if row["job_type"] == "b.tell"),
            key=lambda value: str(value["event"]),
        )

    def events(self) -> list[str]:
        return [call["event"] for call in self.calls()]


def opened(name: str = "import") -> Any:
    calls = {f"on_{event}": tell.s("{batch}") for event in ("failure", "success", "complete", "exhausted")}
    return jobplatform.batch(name, **calls)
