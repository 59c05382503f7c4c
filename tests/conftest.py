"""Fixtures that every level of tests may use: one embedded stack a run, a fresh schema a test."""

from __future__ import annotations

import itertools
import os
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import fresh_schemas
import least_roles
import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from jobplatform.devstack.stack import DevStack
from jobplatform.journal.writer import connect
from jobplatform.settings import Settings
from jobplatform.store import migrate
from jobplatform.store.database import Database

_schemas = itertools.count(1)
#: Whether the tests run under the role that the web process has, but for those that are marked ``owner``.
if "JOBPLATFORM_TEST_LEAST" in os.environ:
    # Under another name, as the platform refuses settings of its own that it does not know; the tests' workers see it.
    os.environ["TEST_LEAST"] = os.environ.pop("JOBPLATFORM_TEST_LEAST")
LEAST = bool(os.environ.get("TEST_LEAST"))

# How long an example takes on a busy machine says nothing about the code.
_patient = hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.register_profile("patient", _patient)
hypothesis_settings.load_profile("patient")
# Chosen by --hypothesis-profile: hours of search where a test does not limit itself, and what it finds as it was found.
hypothesis_settings.register_profile("long", _patient, max_examples=10_000, print_blob=True)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevStack]:
    """A running PostgreSQL and Redis that only this test process uses."""
    made = DevStack(Path(tmp_path_factory.mktemp("stack")), durable=False)
    made.start()
    yield made
    made.erase()


@pytest.fixture
def schema(stack: DevStack, request: pytest.FixtureRequest) -> Iterator[str]:
    """Name a schema that nobody else uses now: a migrated one for whoever asks for its database."""
    if LEAST or "database" not in request.fixturenames:
        yield f"t{next(_schemas)}_{os.getpid()}_{uuid.uuid4().hex[:6]}"
        return
    schemas = fresh_schemas.of(stack)
    taken = schemas.take()
    yield taken
    schemas.give_back(taken)


@pytest.fixture
def settings(stack: DevStack, schema: str, request: pytest.FixtureRequest) -> Settings:
    """Settings with a schema of the test's own, on an empty Redis; of the web's least role where that is asked for."""
    made = Settings(database_url=stack.database_url, redis_url=stack.redis_url, schema=schema)
    if not LEAST or request.node.get_closest_marker("owner"):
        return made
    migrated = Database(made)
    migrate.upgrade(migrated)
    migrated.close()
    # Tests name their queues as they like; which keys each role has is shown where one life of a job is.
    least_roles.allow(stack, "~*")
    least_roles.grant(stack, schema)
    least = least_roles.urls(stack, "jp_web")
    return replace(made, database_url=least["DATABASE_URL"], redis_url=least["REDIS_URL"])


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    """A migrated database."""
    made = Database(settings)
    if LEAST and "//jp_web@" not in settings.database_url:
        migrate.upgrade(made)
    yield made
    made.close()


@pytest.fixture
def client(stack: DevStack) -> Iterator[Any]:
    """A client of the Redis, which is empty."""
    made = connect(stack.redis_url)
    made.flushdb()
    yield made
    made.close()
