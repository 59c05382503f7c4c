"""``jobplatform up``: everything on this machine."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import click

from jobplatform.actions.actor import Actor
from jobplatform.actions.desk import Desk
from jobplatform.cli.desk import open_desk
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

    place = directory or Path(settings.data_dir)

    def prepare(database_url: str) -> dict[str, str]:
        with open_desk(replace(settings, database_url=database_url)) as (desk, actor):
            upgrade(desk.database)
            return {"login": first_login(desk, actor, place / "admin.txt")}

    sizes = Sizes(*fleet) if fleet else Sizes(settings.fleet_min, settings.fleet_max) if keeps else None
    run_stack(settings, place, os.environ, prepare, app=app, concurrency=concurrency, fleet=sizes)


def first_login(desk: Desk, actor: Actor, file: Path) -> str:
    """Let somebody administer the platform if nobody does, and say how to sign in.

    :param file: where name and password are kept, for whoever may read it: the user who runs this.
    """
    from jobplatform.actions import entry, people
    from jobplatform.actions.secret import new_password

    if entry.nobody(desk):
        password = new_password()
        people.add_user(desk, actor, "admin", password, "admin")
        file.parent.mkdir(parents=True, exist_ok=True)
        with open(file, "w", opener=_private) as kept:
            kept.write(f"admin {password}\n")
        return f"admin / {password} (also in {file})"
    return f"as in {file}" if file.exists() else "as before; see: jobplatform users list"


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
