"""``python -m benchmarks.upkeep``: how large jobs are, and how fast they are backed up, restored and pruned."""

from __future__ import annotations

import json
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import click

from benchmarks.seed.seed import seed
from benchmarks.stacks import say
from jobplatform.devstack.stack import DevStack
from jobplatform.maintenance.backup import back_up, restore
from jobplatform.maintenance.job_files import JobFiles
from jobplatform.maintenance.keeping import Keeping
from jobplatform.maintenance.retention import Retention
from jobplatform.settings import Settings
from jobplatform.store import migrate, tables
from jobplatform.store.database import Database


@contextmanager
def timed(figures: dict[str, float], name: str, jobs: int) -> Iterator[None]:
    """Note how many jobs a second went through a block."""
    begun = time.perf_counter()
    yield
    seconds = time.perf_counter() - begun
    figures[f"{name} seconds"], figures[f"{name} jobs a second"] = round(seconds, 2), round(jobs / seconds)
    say(f"{name}: {seconds:.1f} s, {jobs / seconds:,.0f} jobs a second")


def sizes(database: Database) -> dict[str, int]:
    """Give the bytes of each table with its indexes."""
    with database.transaction() as transaction:
        names = [table.name for table in tables.ours(transaction)]
        query = "select pg_total_relation_size(%(table)s::regclass)"
        return {
            name: transaction.connection.exec_driver_sql(query, {"table": f'"{database.schema}".{name}'}).scalar_one()
            for name in names
        }


def prune(database: Database, files: JobFiles | None, most: int) -> tuple[int, float]:
    """Delete all that has ended, so many jobs at most; gives how many and the longest round in seconds."""
    retention, gone, longest = Retention(database, Keeping(0.0), files), 0, 0.0
    while gone < most:
        begun = time.perf_counter()
        done = retention.run_once(datetime.now(UTC))
        longest = max(longest, time.perf_counter() - begun)
        gone += done["jobs"]
        if not done:
            break
    retention.close()
    return gone, longest


@click.command()
@click.option("--jobs", default=200_000, show_default=True, type=click.IntRange(1_000))
@click.option("--json", "report", type=click.Path(path_type=Path), help="Where the figures are written.")
def main(jobs: int, report: Path | None) -> None:
    """Measure all of it on a stack of its own."""
    figures: dict[str, float] = {"jobs": jobs}
    with tempfile.TemporaryDirectory() as scratch, DevStack(Path(scratch) / "stack") as stack:
        here = Settings(database_url=stack.database_url, redis_url=stack.redis_url)
        database, other = Database(here, statement_seconds=600), Database(replace(here, schema="other"))
        for each in (database, other):
            migrate.upgrade(each)
        seed(stack.database_url, here.schema, jobs, 1)
        measure(database, other, Path(scratch), jobs, figures)
        for each in (database, other):
            each.close()
    if report is not None:
        report.write_text(json.dumps(figures, indent=1))


def measure(database: Database, other: Database, scratch: Path, jobs: int, figures: dict[str, float]) -> None:
    """Back up, restore, and prune."""
    for name, size in sizes(database).items():
        if size / jobs >= 1:
            figures[f"{name} bytes a job"] = round(size / jobs)
            say(f"{name}: {size / jobs:,.0f} bytes a job")
    file = scratch / "all.zip"
    with timed(figures, "backup", jobs):
        back_up(database, file, datetime.now(UTC), lambda text: None)
    figures["backup bytes a job"] = round(file.stat().st_size / jobs)
    with timed(figures, "restore", jobs):
        restore(other, file, lambda text: None)
    figures["peak resident bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    for name, files in (("prune with export", JobFiles(scratch / "out")), ("prune", None)):
        begun = time.perf_counter()
        gone, longest = prune(database, files, jobs // 4)
        seconds = time.perf_counter() - begun
        figures[f"{name} jobs a second"], figures[f"{name} longest round"] = round(gone / seconds), round(longest, 3)
        say(f"{name}: {gone / seconds:,.0f} jobs a second, the longest round {longest:.3f} s")
    say(f"{figures}")


if __name__ == "__main__":
    main()
