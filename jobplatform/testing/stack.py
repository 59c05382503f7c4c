"""The real thing for a test: PostgreSQL and Redis of its own, a worker and a controller as processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from jobplatform.devstack.spawn import spawn
from jobplatform.devstack.stack import DevStack
from jobplatform.errors import DevStackError
from jobplatform.jobs.attach import attach
from jobplatform.jobs.platform import Platform
from jobplatform.records import job_id_of
from jobplatform.settings import Settings, load_settings
from jobplatform.states import FINAL
from jobplatform.store import listing, migrate
from jobplatform.store.database import Database

_READY = {"worker": " ready.", "controller": "this controller leads"}
_START_SECONDS = 60.0
_LOOK_SECONDS = 0.05


class JobStack:
    """A running platform for the tests of one application; use it in a ``with`` block.

    :param app: as ``celery -A`` takes it; the processes import it with the environment that names the stack.
    :param directory: for data and logs.
    :param environment: further variables for the processes.
    """

    def __init__(self, app: str, directory: Path, environment: Mapping[str, str] | None = None) -> None:
        self.app = app
        self.directory = directory
        self.environment = {**os.environ, **(environment or {})}
        self.settings = Settings()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._undo = ExitStack()

    def __enter__(self) -> JobStack:
        with ExitStack() as undo:
            servers = DevStack(self.directory / "stack")
            undo.callback(servers.erase)
            servers.start()
            self.environment |= servers.environment()
            self.settings = load_settings(self.environment)
            self.database = Database(self.settings)
            undo.callback(self.database.close)
            migrate.upgrade(self.database)
            undo.callback(self._end_all)
            self._start("controller")
            self._start("worker", "-c", "2", "-l", "INFO", "--without-mingle", "--without-gossip")
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *of: object) -> None:
        self._undo.close()

    def start_worker(self) -> None:
        """Start the worker again."""
        self._start("worker", "-c", "2", "-l", "INFO", "--without-mingle", "--without-gossip")

    def kill_worker(self) -> None:
        """Kill the worker with all of its processes, as a machine that loses power does."""
        self._end("worker")

    def job(self, job: Any) -> dict[str, Any] | None:
        """Give the row of a job, None when there is none.

        :param job: a result, or a job id.
        """
        job_id = job_id_of(job if isinstance(job, str) else job.id)
        row = self.database.once(lambda session: listing.show_job(session, job_id))
        return None if row is None else dict(row)

    def wait(self, job: Any, seconds: float = 30.0) -> dict[str, Any]:
        """Wait until a job has ended, and give its row.

        :raises AssertionError: when it does not in time, with what its row says.
        """
        deadline = time.monotonic() + seconds
        while True:
            row = self.job(job)
            if row is not None and row["status"] in FINAL:
                return row
            if time.monotonic() > deadline:
                seen = "there is no row" if row is None else f"it is {row['status']}: {row['error_message']}"
                raise AssertionError(f"job {job}: it has not ended within {seconds:g} s; {seen}\n{self.log('worker')}")
            time.sleep(_LOOK_SECONDS)

    def log(self, name: str) -> str:
        """Give what the ``worker`` or the ``controller`` has written."""
        return (self.directory / f"{name}.log").read_text(errors="replace")

    def _start(self, name: str, *options: str) -> None:
        log = self.directory / f"{name}.log"
        command = [sys.executable, "-m", "celery", "-A", self.app, name, *options]
        with log.open("wb") as output:
            self._processes[name] = spawn(command, signal.SIGKILL, env=self.environment, stdout=output)
        deadline = time.monotonic() + _START_SECONDS
        while _READY[name] not in self.log(name):
            if self._processes[name].poll() is not None or time.monotonic() > deadline:
                raise DevStackError(f"the {name} of {self.app} did not come up:\n{self.log(name)[-4000:]}")
            time.sleep(_LOOK_SECONDS)

    def _end(self, name: str) -> None:
        process = self._processes.pop(name, None)
        if process is not None:
            # It leads a session of its own; what it has started is in its group.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _end_all(self) -> None:
        for name in list(self._processes):
            self._end(name)


@contextmanager
def client_of(app: Any, settings: Settings) -> Iterator[None]:
    """Let an application of this process submit to a stack in the block, and then to what it used before."""
    if getattr(app, "jobplatform", None) is None:
        attach(app, settings)
    backend = f"jobplatform.jobs.backend:JobBackend+{settings.journal_url}"
    before, conf = app.jobplatform, {name: app.conf.get(name) for name in ("broker_url", "result_backend")}
    app.jobplatform = Platform(settings)
    app.conf.update(broker_url=settings.broker, result_backend=backend)
    _reconnect(app)
    try:
        yield
    finally:
        app.jobplatform.close()
        app.jobplatform = before
        app.conf.update(conf)
        _reconnect(app)


def _reconnect(app: Any) -> None:
    """Let the application open its connections anew."""
    if app._pool is not None:
        app._pool.force_close_all()
    app._pool = app._backend_cache = None
    app._local.__dict__.pop("backend", None)
    app.__dict__.pop("amqp", None)
