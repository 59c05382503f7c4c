"""Fixtures of the tests on real servers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import CliEnvironment

from jobplatform.devstack.stack import DevStack
from jobplatform.settings import Settings
from jobplatform.store.database import Database
from jobplatform.transport.publisher import Publisher


@pytest.fixture
def cli_environment(settings: Settings, database: Database, tmp_path: Path) -> CliEnvironment:
    env = {
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "JOBPLATFORM_SCHEMA": settings.schema,
        "JOBPLATFORM_DATA_DIR": str(tmp_path / "none"),
    }
    return CliEnvironment(env, database)


@pytest.fixture
def publisher(stack: DevStack) -> Iterator[Publisher]:
    made = Publisher(stack.redis_url, 5.0)
    yield made
    made.close()
