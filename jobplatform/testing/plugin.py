"""The pytest plugin: fixtures for those who test an application that uses jobplatform."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from jobplatform.testing.runner import JobRunner
    from jobplatform.testing.stack import JobStack

# Whatever a run needs is imported by the fixture that needs it: the plugin is loaded for every run of pytest.

_APP = "jobplatform_app"
_MISSING = (
    f"no Celery application is known: say {_APP} = myproject.celery:app in the pytest section of your configuration, "
    "or write a fixture job_app that returns it"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the configuration name the application."""
    parser.addini(_APP, "the Celery application that uses jobplatform, as celery -A takes it", default="")


@pytest.fixture(scope="session")
def job_app(request: pytest.FixtureRequest) -> Any:
    """The Celery application under test: the one that the configuration names, or else the current one."""
    from celery import current_app
    from celery.app.utils import find_app

    name = request.config.getini(_APP)
    if name:
        return find_app(name)
    app = current_app._get_current_object()
    if app.main in (None, "default"):
        pytest.fail(_MISSING, pytrace=False)
    return app


@pytest.fixture
def job_runner(job_app: Any) -> Iterator[JobRunner]:
    """Run the jobs of the application in this process, when the test says so; a planned fault that never came fails."""
    from jobplatform.testing.runner import JobRunner

    runner = JobRunner(job_app)
    with runner.in_charge():
        yield runner
    left = runner.faults_left()
    assert not left, f"faults were planned and never came: {', '.join(left)}; no such job ran"


@pytest.fixture(scope="session")
def job_servers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[JobStack]:
    """PostgreSQL, Redis, a worker and a controller of the application, for all tests of the run."""
    from jobplatform.testing.stack import JobStack

    name = request.config.getini(_APP)
    if not name:
        pytest.fail(f"job_stack starts a worker, which imports the application by its name; {_MISSING}", pytrace=False)
    with JobStack(name, tmp_path_factory.mktemp("jobplatform")) as made:
        yield made


@pytest.fixture
def job_stack(job_app: Any, job_servers: JobStack) -> Iterator[JobStack]:
    """The real platform: what the test submits runs in a worker, and its rows are in PostgreSQL."""
    from jobplatform.testing.stack import client_of

    with client_of(job_app, job_servers.settings):
        yield job_servers
