"""The door: the environment, and beside it the stack that is up, become settings and a database."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from jobplatform.cli.exits import CommandError, Exit
from jobplatform.settings import Settings, load_settings
from jobplatform.store.database import Database


def find_settings() -> Settings:
    """Read the settings; what the environment leaves open is taken from the stack that is up, if one is."""
    settings = load_settings(os.environ)
    if settings.database_url and settings.redis_url:
        return settings
    from jobplatform.devstack.stack import read_running

    stack = read_running(Path(settings.data_dir))
    if stack is None:
        return settings
    return replace(
        settings,
        database_url=settings.database_url or stack.database_url,
        redis_url=settings.redis_url or stack.redis_url,
    )


def require_settings() -> Settings:
    """Read the settings and insist on a database.

    :raises CommandError: when neither the environment nor a running stack names one.
    """
    settings = find_settings()
    if not settings.database_url:
        raise CommandError(
            f"DATABASE_URL is not set and no stack is up in {settings.data_dir}; set it, or run: jobplatform up",
            Exit.UNREACHABLE,
        )
    return settings


@contextmanager
def open_database(
    settings: Settings | None = None, pool_size: int = 1, statement_seconds: float = 30.0
) -> Iterator[Database]:
    """Open the database of the settings for the time of a block.

    :param settings: None reads them from the environment.
    :param pool_size: connections kept open.
    :param statement_seconds: the longest that one statement may run.
    """
    database = Database(settings or require_settings(), pool_size, statement_seconds)
    try:
        yield database
    finally:
        database.close()
