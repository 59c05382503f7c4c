"""Run the migrations: in one transaction, in the schema that the settings name."""

from __future__ import annotations

from alembic import context
from sqlalchemy import create_engine, text

from jobplatform.settings import load_settings

VERSION_TABLE = "jobplatform_version"


def run() -> None:
    """Migrate over a connection handed in by ``store.migrate``, or over one made from the environment."""
    connection = context.config.attributes.get("connection")
    schema = context.config.attributes.get("schema")
    if connection is not None:
        _migrate(connection, schema)
        return
    import os

    settings = load_settings(os.environ)
    engine = create_engine(settings.sqlalchemy_url)
    with engine.begin() as opened:
        _migrate(opened, settings.schema)
    engine.dispose()


def _migrate(connection, schema: str) -> None:
    connection.execute(text(f'create schema if not exists "{schema}"'))
    connection.execute(text(f'set local search_path to "{schema}"'))
    context.configure(
        connection=connection,
        version_table=VERSION_TABLE,
        version_table_schema=schema,
        transaction_per_migration=False,
    )
    with context.begin_transaction():
        context.run_migrations()


run()
