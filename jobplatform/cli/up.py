"""``jobplatform up``: everything on this machine."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import click

from jobplatform.cli.connect import open_database
from jobplatform.cli.exits import mapped
from jobplatform.cli.parameters import DIRECTORY, SIZES
from jobplatform.settings import load_settings


@click.command(short_help="Run the whole platform on this machine.")
@click.option("--dir", "directory", type=DIRECTORY, help="Where its data is kept.")
@click.option("--concurrency", type=click.IntRange(1), default=2, show_default=True, help="Jobs run at a time.")
@click.option("--workers", "fleet", type=SIZES, help="Workers, as 3 or 2..5; then the controller keeps their number.")
@click.option("--fleet", "keeps", is_flag=True, help="As --workers, with the numbers of the settings.")
@click.option("-A", "--app", default="jobplatform", show_default=True, help="The Celery application.")
@mapped()
def up(directory: Path | None, concurrency: int, fleet: tuple[int, int] | None, keeps: bool, app: str) -> None:
    """Run the whole platform on this machine, with a PostgreSQL and a Redis of its own, until Ctrl-C.

    DATABASE_URL and REDIS_URL name servers to use instead.
    """
    from jobplatform.devstack.up import Sizes
    from jobplatform.devstack.up import up as run_stack
    from jobplatform.store.migrate import upgrade

    settings = load_settings(os.environ)

    def migrate(database_url: str) -> None:
        with open_database(replace(settings, database_url=database_url)) as database:
            upgrade(database)

    sizes = Sizes(*fleet) if fleet else Sizes(settings.fleet_min, settings.fleet_max) if keeps else None
    place = directory or Path(settings.data_dir)
    run_stack(settings, place, os.environ, migrate, app=app, concurrency=concurrency, fleet=sizes)
