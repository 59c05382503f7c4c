"""The jobs of the demo; a worker loads them by JOBPLATFORM_IMPORTS=examples.demo.jobs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from examples.demo import sources
from examples.demo.analysis import analyse
from jobplatform import Workflow, current_job, job
from jobplatform.jobs.retry import RetryRule

#: The same file fails the same way again, so its first error is its last.
_BROKEN_FOR_GOOD = RetryRule(base=0.2, cap=1.0, never=("SyntaxError", "ValueError", "RecursionError"))


@job(name="demo.discover", priority=5, timeout=60.0, max_retries=0, tags=("demo",))
def discover(directory: str, limit: int | None = None) -> list[str]:
    """Find the files and add a job for each to the batch of this job; return the ids of those jobs."""
    files = sources.find(Path(directory), limit)
    current_job().logger.info("found %d files", len(files))
    batch = current_job().batch
    if batch is None:
        raise ValueError("demo.discover adds to its batch; submit it by batch.add")
    return batch.add_many(parse, [{"path": str(path)} for path in files])


@job(name="demo.parse", timeout=30.0, soft_timeout=25.0, retry=_BROKEN_FOR_GOOD, tags=("demo",))
def parse(path: str) -> dict[str, object]:
    """Read one file and return its numbers."""
    file = Path(path)
    return {"path": path, **asdict(analyse(file.read_bytes(), file.name))}


@job(name="demo.flaky", priority=3, retry=RetryRule(base=0.2, cap=1.0), tags=("demo",))
def flaky(failures: int) -> int:
    """Play a step whose server answers only after some failures; return the attempt that got through."""
    attempt = current_job().attempt
    if attempt <= failures:
        # Each has a server of its own: what fails of one cause would be held together.
        raise ConnectionError(f"http://{current_job().id}.demo.local does not answer, as the demo wants it")
    return int(attempt)


@job(name="demo.conclude", priority=5, timeout=60.0, max_retries=0, tags=("demo",))
def conclude(batch: dict[str, Any], directory: str) -> dict[str, str]:
    """Submit what follows the batch as a workflow: page and table side by side, then the report of both.

    :param batch: what the batch calls back with.
    """
    flow = Workflow()
    written = [flow.add(each.s(batch["batch_id"], directory), name=each.job.name) for each in (write_page, write_table)]
    flow.add(report.s(batch), after=written, name=report.job.name)
    return {name: result.id for name, result in flow.submit().items()}


@job(name="demo.page", priority=5, timeout=60.0, max_retries=0, tags=("demo",))
def write_page(batch_id: str, directory: str) -> str:
    """Write the HTML page from the rows of the batch; return its path."""
    from examples.demo.report import write_page

    return str(write_page(_files(batch_id), Path(directory)))


@job(name="demo.table", priority=5, timeout=60.0, max_retries=0, tags=("demo",))
def write_table(batch_id: str, directory: str) -> str:
    """Write the CSV from the rows of the batch; return its path."""
    from examples.demo.report import write_table

    return str(write_table(_files(batch_id), Path(directory)))


@job(name="demo.report", priority=5, timeout=60.0, max_retries=0, tags=("demo",))
def report(batch: dict[str, Any]) -> dict[str, Any]:
    """Return what the batch has counted, and what the jobs before this one have written."""
    return {"batch": batch, "written": [upstream.result for upstream in current_job().upstream]}


def _files(batch_id: str) -> Sequence[Mapping[str, Any]]:
    # Imported here: only these jobs read the tables, and a worker's children stay small without SQLAlchemy.
    from examples.demo import queries
    from jobplatform.settings import load_settings
    from jobplatform.store.database import Database

    database = Database(load_settings(os.environ), pool_size=1)
    try:
        with database.session() as session:
            files = queries.files(session, batch_id)
    finally:
        database.close()
    current_job().logger.info("%d rows read", len(files))
    return files
