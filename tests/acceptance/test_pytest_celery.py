"""The worker suite through pytest-celery: its setup and nodes, with processes where it usually has containers."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator
from signal import Signals
from typing import Any

import pytest
from fleet import Fleet, Process
from processes import eventually
from pytest_celery import (
    CeleryBackendCluster,
    CeleryBrokerCluster,
    CeleryTestBackend,
    CeleryTestBroker,
    CeleryTestSetup,
    CeleryTestWorker,
    CeleryWorkerCluster,
)
from worker_suite import PATIENCE, WorkerSuite

from jobplatform.devstack.stack import DevStack
from jobplatform.jobs.attach import attach
from jobplatform.settings import Settings

WORKER = "w1"


class ServerBox:
    """A server of the run's stack in the place of a container."""

    def __init__(self, name: str, url: str) -> None:
        self.name = self.id = name
        self.celeryconfig = {"url": url, "host_url": url}
        self.status = "running"

    def ready(self) -> bool:
        """Tell whether the server can be used; the stack has waited for that."""
        return True

    def teardown(self) -> None:
        """Leave the server to the stack, whose it is."""


class WorkerBox:
    """A worker process in the place of a container."""

    def __init__(self, fleet: Fleet, name: str) -> None:
        self.fleet = fleet
        self.name = self.id = name
        self.process: Process = self._start()

    def _start(self) -> Process:
        return self.fleet.start_worker("-c", "2", name=self.name)

    @property
    def status(self) -> str:
        """What a container would say of itself."""
        return "running" if self.process.running else "exited"

    def ready(self) -> bool:
        """Tell whether the worker consumes."""
        return self.process.says(" ready.")

    def logs(self) -> str:
        """Give all that the worker has written."""
        return self.process.log.read_text(errors="replace")

    def kill(self, signal: str) -> None:
        """End the worker with a signal."""
        self.process.stop(Signals[signal])

    def restart(self, timeout: float) -> None:
        """Start the worker again, after its end."""
        self.process.stop()
        self.process.log.unlink()
        self.process = self._start()

    def reload(self) -> None:
        """Do nothing; a process is asked whenever its state is wanted."""

    def teardown(self) -> None:
        """Leave the worker to the fleet, which ends it after the last test."""

    def version(self) -> str:
        """Give Celery's version."""
        return importlib.metadata.version("celery")

    def log_level(self) -> str:
        """Give the level of the log."""
        return "INFO"

    def worker_name(self) -> str:
        """Give the name of the node."""
        return self.name

    def worker_queue(self) -> str:
        """Give the queue that the worker consumes."""
        return "celery"


class AttachedSetup(CeleryTestSetup):
    """A setup whose application is attached to the platform."""

    settings: Settings

    @classmethod
    def update_app_config(cls, app: Any) -> None:
        """Attach the application that pytest-celery has made."""
        attach(app, cls.settings)


@pytest.fixture(scope="module")
def processes(stack: DevStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A controller, to which the tests of this module add their worker."""
    with Fleet(stack, tmp_path_factory.mktemp("fleet"), ["suite_jobs"]) as made:
        made.start_controller()
        yield made


@pytest.fixture(scope="module")
def worker_box(processes: Fleet) -> WorkerBox:
    """The one worker of this module."""
    return WorkerBox(processes, WORKER)


@pytest.fixture
def celery_broker_cluster(stack: DevStack) -> CeleryBrokerCluster:
    """The Redis of the run."""
    return CeleryBrokerCluster(CeleryTestBroker(ServerBox("redis", stack.redis_url)))


@pytest.fixture
def celery_backend_cluster(stack: DevStack) -> CeleryBackendCluster:
    """The platform's result backend, on the Redis of the run."""
    url = f"jobplatform.jobs.backend:JobBackend+{stack.redis_url}"
    return CeleryBackendCluster(CeleryTestBackend(ServerBox("redis", url)))


@pytest.fixture
def celery_worker_cluster(worker_box: WorkerBox, celery_setup_app: Any) -> CeleryWorkerCluster:
    """The worker process."""
    return CeleryWorkerCluster(CeleryTestWorker(worker_box, celery_setup_app))


@pytest.fixture
def celery_setup_cls(processes: Fleet) -> type[CeleryTestSetup]:
    """The setup that attaches its application."""
    AttachedSetup.settings = processes.settings
    return AttachedSetup


@pytest.fixture
def fleet(processes: Fleet, celery_setup: CeleryTestSetup, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fleet]:
    """The processes, with pytest-celery's application as their client."""
    assert celery_setup.ready()
    monkeypatch.setattr(processes, "client", celery_setup.app)
    yield processes
    celery_setup.app.jobplatform.close()
    celery_setup.app.close()


class TestThroughPytestCelery(WorkerSuite):
    """The suite of ``test_canvas``, on the nodes of pytest-celery."""

    def test_nodes(self, fleet: Fleet, celery_setup: CeleryTestSetup) -> None:
        """pytest-celery's own view of the worker holds."""
        assert celery_setup.ready(control=True)
        celery_setup.worker.assert_log_exists(" ready.")
        assert celery_setup.worker.container.status == "running"
        assert celery_setup.worker.version == importlib.metadata.version("celery")
        assert len(celery_setup) == 3

    def test_killed_worker(self, fleet: Fleet, celery_setup: CeleryTestSetup) -> None:
        """A job that is submitted while the worker is dead completes after its restart."""
        celery_setup.worker.kill()
        assert celery_setup.worker.container.status == "exited"
        result = fleet.client.tasks["suite_jobs.double"].submit(4)
        celery_setup.worker.restart()
        assert result.get(timeout=PATIENCE) == 8
        eventually(fleet.is_quiet, PATIENCE, fleet.describe)
