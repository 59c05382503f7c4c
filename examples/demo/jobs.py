"""The jobs of the demo; a worker loads them by JOBPLATFORM_IMPORTS=examples.demo.jobs."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path

from examples.demo import sources
from examples.demo.analysis import analyse
from jobplatform import current_job, job
from jobplatform.jobs.retry import RetryRule

#: The same file fails the same way again, so its first error is its last.
_BROKEN_FOR_GOOD = RetryRule(base=0.2, cap=1.0, never=("SyntaxError", "ValueError", "RecursionError"))


@job(name="demo.discover", priority=5, timeout=60.0, max_retries=0, tags=("demo",))
def discover(directory: str, limit: int | None = None) -> list[str]:
    """Find the files and submit a job for each, from inside this job; return the ids of those jobs."""
    files = sources.find(Path(directory), limit)
    current_job().logger.info("found %d files", len(files))
    return list(parse.submit_many([{"path": str(path)} for path in files]))


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
        raise ConnectionError(f"attempt {attempt}: no answer, as the demo wants it")
    return int(attempt)


@job(name="demo.report", priority=5, timeout=60.0, max_retries=0, tags=("demo",))
def report(root_id: str, directory: str) -> dict[str, str]:
    """Write the HTML page and the CSV of a run from the rows of its jobs.

    :param root_id: the job that submitted the others.
    """
    # Imported here: only this job reads the tables, and a worker's children stay small without SQLAlchemy.
    from examples.demo import queries
    from examples.demo.report import write
    from jobplatform.settings import load_settings
    from jobplatform.store.database import Database

    running = current_job()
    database = Database(load_settings(os.environ), pool_size=1)
    try:
        with database.session() as session:
            files = queries.files(session, root_id)
    finally:
        database.close()
    running.progress(1, 2, f"{len(files)} rows read")
    written = write(files, Path(directory))
    running.progress(2, 2, "report written")
    return {"html": str(written[0]), "csv": str(written[1])}
