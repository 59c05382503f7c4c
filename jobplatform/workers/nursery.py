"""Programs of ours that begin as forks of a process which has done the imports."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from jobplatform.devstack.spawn import spawn
from jobplatform.workers.seedbed import MOST_BYTES

#: What every program of Celery loads. None of these reads the environment or makes an application.
MODULES = (
    "celery.app.control",
    "celery.app.events",
    "celery.app.log",
    "celery.apps.beat",
    "celery.apps.worker",
    "celery.bin.celery",
    "celery.concurrency.prefork",
    "celery.concurrency.solo",
    "celery.concurrency.thread",
    "celery.fixups.django",
    "celery.worker.autoscale",
    "celery.worker.components",
    "celery.worker.consumer",
    "jobplatform.jobs.attach",
    "jobplatform.jobs.backend",
)


class Unforkable(RuntimeError):
    """The process with the imports has ended, or has threads, so that nothing can be forked from it."""


class Seedling:
    """A program that the nursery has begun, with the methods of ``subprocess.Popen`` that are needed."""

    def __init__(self, nursery: Nursery, pid: int) -> None:
        self.nursery = nursery
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Give the exit code, None while the program runs."""
        if self.returncode is None:
            self.returncode = self.nursery.ask(pid=self.pid)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code when the program has ended.

        :param timeout: seconds.
        :raises subprocess.TimeoutExpired: when it has not by then.
        """
        with suppress(ProcessLookupError):
            ended = os.pidfd_open(self.pid)
            try:
                select.select([ended], [], [], timeout)
            finally:
                os.close(ended)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0.0)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal, unless the program has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)


class Nursery:
    """Start Python modules without the time that their imports take; everything else of a process is its own.

    Its process ends with the thread that made it; call it from one that lasts.

    :param app: the Celery application that is imported as well, with its modules; "" for none.
    :param env: the environment that the imports see; None is our own.
    """

    def __init__(self, app: str = "", env: Mapping[str, str] | None = None) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            argv = [sys.executable, "-m", "jobplatform.workers.seedbed", app, *MODULES]
            self._process = spawn(argv, signal.SIGKILL, env=env, stdin=theirs.fileno(), stdout=2)
        self._line = ours
        self._lock = threading.Lock()

    def ask(self, **request: Any) -> Any:
        """Ask the seedbed for something, and return its answer.

        :raises Unforkable: when it has ended.
        """
        with self._lock:
            try:
                self._line.send(json.dumps(request).encode())
                answer = self._line.recv(MOST_BYTES)
            except OSError as error:
                raise Unforkable(f"the seedbed cannot be asked: {error}") from error
        if not answer:
            raise Unforkable(f"the seedbed has ended with {self._process.poll()}")
        return json.loads(answer)

    def wait(self) -> None:
        """Return when the imports are done.

        :raises Unforkable: when they have ended the process.
        """
        self.ask(pid=0)

    def start(
        self,
        module: str,
        arguments: Sequence[str],
        env: Mapping[str, str],
        cwd: Path,
        log: Path | None = None,
        at_death: int = signal.SIGKILL,
    ) -> Seedling:
        """Run a module as ``python -m`` does, in a session of its own.

        :param log: gets its output; None lets it go where ours goes.
        :param at_death: the signal that it gets when we are gone, 0 for none.
        :raises Unforkable: when nothing can be forked.
        """
        if log is not None:
            log.touch()
        where = {"cwd": str(cwd), "log": str(log or ""), "at_death": int(at_death)}
        started = self.ask(module=module, arguments=arguments, env=dict(env), **where)
        if started is None:
            raise Unforkable("the modules of the application have begun threads, which a fork would not take along")
        return Seedling(self, started)

    def close(self) -> None:
        """End the seedbed; what it has begun goes on, unless it is to end with it."""
        self._line.close()
        self._process.wait()
