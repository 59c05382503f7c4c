"""Bring the schema up, or take it away again."""

from __future__ import annotations

import logging
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from jobplatform.errors import SchemaConflict
from jobplatform.store.database import Database

VERSION_TABLE = "jobplatform_version"
#: So long a lock of a table is waited for.
_LOCK_SECONDS = 30


def _scripts() -> Path:
    package = Path(__file__).resolve().parent.parent
    for place in (package / "migrations", package.parent / "migrations"):
        if (place / "env.py").exists():
            return place
    raise SchemaConflict("migrations: the folder is not beside the package; install jobplatform from its checkout")


def _config(connection: Connection, schema: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_scripts()))
    config.attributes["connection"] = connection
    config.attributes["schema"] = schema
    return config


def head() -> str:
    """Name the newest migration that this code knows."""
    config = Config()
    config.set_main_option("script_location", str(_scripts()))
    return str(ScriptDirectory.from_config(config).get_current_head())


def current(database: Database) -> str | None:
    """Name the migration that the database is at, None before the first."""
    with database.engine.connect() as connection:
        options = {"version_table": VERSION_TABLE, "version_table_schema": database.schema}
        revision = MigrationContext.configure(connection, opts=options).get_current_revision()
    return str(revision) if revision else None


def upgrade(database: Database, target: str = "head") -> None:
    """Create what is missing, in one transaction.

    :raises SchemaConflict: when a foreign table already has one of our names.
    """
    if current(database) is None:
        _refuse_foreign_tables(database)
    _run(database, command.upgrade, target)


def downgrade(database: Database, target: str = "base") -> None:
    """Remove exactly what the migrations made."""
    _run(database, command.downgrade, target)
    if target == "base":
        with database.engine.begin() as connection:
            connection.execute(text(f'drop table if exists "{database.schema}".{VERSION_TABLE}'))


def _run(database: Database, action: object, target: str) -> None:
    logging.getLogger("alembic").setLevel(logging.WARNING)
    with database.engine.begin() as connection:
        # Another migration is waited for until it is done, as far as the limit of a statement allows. A table that
        # somebody else holds is not: whoever comes after us would wait as well.
        connection.execute(text("set local lock_timeout = 0"))
        connection.execute(text("select pg_advisory_xact_lock(1785685616)"))
        connection.execute(text(f"set local lock_timeout = {_LOCK_SECONDS * 1_000}"))
        action(_config(connection, database.schema), target)  # type: ignore[operator]


def _refuse_foreign_tables(database: Database) -> None:
    ours = ["jobs", "job_executions", "job_dependencies", "job_schedules", "dead_letter_jobs", "retry_decisions"]
    query = text("select table_name from information_schema.tables where table_schema = :s and table_name = any(:n)")
    with database.engine.connect() as connection:
        taken = sorted(connection.execute(query, {"s": database.schema, "n": ours}).scalars())
    if taken:
        raise SchemaConflict(
            f"schema {database.schema}: a table {taken[0]!r} that is not ours is already there; "
            "set JOBPLATFORM_SCHEMA to another schema"
        )
