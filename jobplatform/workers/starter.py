"""How a local worker is started: as a fork of a process with the imports done, or else as a plain new process."""

from __future__ import annotations

import logging
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from jobplatform.devstack.spawn import spawn
from jobplatform.settings import Settings
from jobplatform.workers.nursery import Nursery, Unforkable

logger = logging.getLogger(__name__)


class Started(Protocol):
    """A process that was started here."""

    @property
    def pid(self) -> int:
        """Its id."""
        ...

    def poll(self) -> int | None:
        """Give its exit code, None while it runs."""
        ...


class Starter:
    """Start workers of one application.

    :param app: the application, as ``celery -A`` takes it.
    :param options: what follows ``celery worker``.
    :param env: their environment.
    :param cwd: their directory.
    :param at_death: the signal that they get when we are gone, 0 for none.
    :param forks: whether to keep a process with the imports done.
    """

    def __init__(
        self, app: str, options: str, env: Mapping[str, str], cwd: Path, at_death: int, forks: bool = True
    ) -> None:
        self.app = app
        self.options = shlex.split(options)
        self.env = dict(env)
        self.cwd = cwd
        self.at_death = at_death
        self.forks = forks
        self._nursery: Nursery | None = None

    @classmethod
    def of(cls, settings: Settings, env: Mapping[str, str]) -> Starter:
        """Make the starter that the settings describe."""
        at_death = signal.SIGTERM if settings.fleet_at_exit == "drain" else 0
        forks = settings.fleet_fork == "on"
        return cls(settings.fleet_app, settings.fleet_options, env, Path.cwd(), at_death, forks)

    def warm(self, wait: bool = False) -> None:
        """Begin with the imports, so that the first worker need not wait for them.

        :param wait: until they are done.
        """
        if self.forks and self._nursery is None:
            self._nursery = Nursery(self.app, self.env)
        if wait and self._nursery is not None:
            self._nursery.wait()

    def start(self, name: str) -> Started:
        """Start a worker under a name."""
        arguments = ["-A", self.app, "worker", "-n", name, *self.options]
        self.warm()
        if self._nursery is not None:
            try:
                return self._nursery.start("celery", arguments, self.env, self.cwd, at_death=self.at_death)
            except Unforkable as error:
                logger.warning("workers are started as new processes from now on: %s", error)
                self.close()
                self.forks = False
        return self._start_anew(arguments)

    def _start_anew(self, arguments: list[str]) -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-m", "celery", *arguments]
        return spawn(argv, self.at_death, env=self.env, cwd=self.cwd, stdout=2)

    def close(self) -> None:
        """End the process with the imports; workers go on unless they are to end with us."""
        if self._nursery is not None:
            self._nursery.close()
            self._nursery = None
