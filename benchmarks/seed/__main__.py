"""``python -m benchmarks.seed``: fill a database as after three months of work."""

from __future__ import annotations

from pathlib import Path

import click

from benchmarks.seed.seed import seed
from benchmarks.stacks import say
from jobplatform.devstack.stack import DevStack
from jobplatform.settings import Settings
from jobplatform.store import migrate
from jobplatform.store.database import Database


@click.command()
@click.option("--jobs", default=10_000_000, show_default=True, type=click.IntRange(1))
@click.option("--seed", "number", default=1, show_default=True, help="What draws all values.")
@click.option("--dir", "directory", required=True, type=click.Path(path_type=Path), help="Where the stack is kept.")
def main(jobs: int, number: int, directory: Path) -> None:
    """Fill the database of a stack that is kept in a directory; ``jobplatform up --dir`` shows it."""
    with DevStack(directory) as stack:
        settings = Settings(database_url=stack.database_url, redis_url=stack.redis_url)
        database = Database(settings)
        migrate.upgrade(database)
        database.close()
        say(f"{jobs:,} jobs into {directory}")
        seed(stack.database_url, settings.schema, jobs, number)


if __name__ == "__main__":
    main()
