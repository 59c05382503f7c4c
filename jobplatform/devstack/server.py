"""A database server as a child process: spawn, wait until ready, stop, clear away what a crash left."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

import psutil

from jobplatform.devstack import ports
from jobplatform.devstack.placement import Owner
from jobplatform.devstack.spawn import spawn
from jobplatform.errors import DevStackError

_POLL_SECONDS = 0.02


def leftovers(program: str, directory: Path) -> list[psutil.Process]:
    """Find the processes of a program that work in a directory, as both our servers do in their data."""
    found = []
    for process in psutil.process_iter(["name"]):
        with suppress(psutil.Error):
            if process.info["name"] == program and Path(process.cwd()) == directory:
                found.append(process)
    return found


class Server(ABC):
    """One server, its data directory, its port and its log.

    :param home: a directory of the stack for this server; made when missing.
    :param port: the TCP port on the loopback.
    """

    title: ClassVar[str]
    program: ClassVar[str]
    # Each signal with the seconds that it is given before the next; SIGKILL follows the last.
    stop_signals: ClassVar[tuple[tuple[signal.Signals, float], ...]]

    def __init__(self, home: Path, port: int) -> None:
        self.home = home
        self.port = port
        self.log = home.with_name(f"{home.name}.log")
        self.process: subprocess.Popen[bytes] | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """The URL that clients connect to."""

    @property
    @abstractmethod
    def data(self) -> Path:
        """The directory that the running server works in, free of symbolic links."""

    @abstractmethod
    def prepare(self) -> None:
        """Make the data directory and what it needs, if they are missing."""

    @abstractmethod
    def argv(self) -> list[str]:
        """Give the command line of the server."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Tell whether the server takes connections."""

    def owner(self) -> Owner | None:
        """Give the user that runs the server; None is our own."""
        return None

    @property
    def running(self) -> bool:
        """Whether the server's process lives."""
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        if self.process is None or self.process.poll() is not None:
            raise DevStackError(f"{self.title} is not running; start it first")
        return self.process.pid

    def start(self, seconds: float = 60.0) -> None:
        """Start the server and return when it takes connections.

        :param seconds: how long it may take.
        """
        self.spawn()
        self.wait_ready(seconds)

    def spawn(self) -> None:
        """Start the server without waiting for it."""
        if self.running:
            raise DevStackError(f"{self.title} is already running as process {self.pid}; stop it first")
        if self.log.exists():
            self.log.replace(self.log.with_name(f"{self.log.name}.1"))
        self.prepare()
        self._end_leftovers()
        if not ports.is_free(self.port):
            raise DevStackError(
                f"{self.title}: port {self.port} is taken; stop the program that listens there, "
                f"or delete {self.home.with_name('stack.json')} to let other ports be chosen"
            )
        self.process = self._spawn(self.argv())

    def wait_ready(self, seconds: float = 60.0) -> None:
        """Return when the server takes connections; stop it and raise when it does not.

        :param seconds: how long it may take.
        """
        deadline = time.monotonic() + seconds
        while not self.is_ready():
            late = time.monotonic() > deadline
            if late or not self.running:
                self.stop()
                problem = f"was not ready after {seconds:g} seconds" if late else "ended while starting"
                raise self._failure(problem)
            time.sleep(_POLL_SECONDS)

    def stop(self) -> None:
        """Stop the server, cleanly if it lets us, and leave no process behind; nothing to do is fine."""
        process, self.process = self.process, None
        if process is not None and process.poll() is None:
            # A server that SIGSTOP froze would not see the next signal.
            process.send_signal(signal.SIGCONT)
        for number, seconds in (*self.stop_signals, (signal.SIGKILL, 10.0)):
            if process is None or process.poll() is not None:
                break
            process.send_signal(number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(seconds)
        if self.home.exists():
            self._end_leftovers()

    def kill(self, number: signal.Signals) -> None:
        """Send the server a signal; return after its end when the signal is SIGKILL."""
        os.kill(self.pid, number)
        if number == signal.SIGKILL and self.process is not None:
            self.process.wait()

    def _end_leftovers(self) -> None:
        """End what still works on our data; we hold the stack's lock, so it is a crashed run's."""
        for number, seconds in (*self.stop_signals, (signal.SIGKILL, 10.0)):
            alive = leftovers(self.program, self.data)
            if not alive:
                return
            for process in alive:
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(number)
            psutil.wait_procs(alive, timeout=seconds)

    def _spawn(self, argv: Sequence[str], stdin: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
        descriptor = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "ab") as log:
            first = self.stop_signals[0][0]
            return spawn(argv, first, owner=self.owner(), cwd=Path("/"), stdin=stdin, stdout=log)

    def _failure(self, problem: str) -> DevStackError:
        with suppress(FileNotFoundError):
            tail = "\n  ".join(self.log.read_text(errors="replace").splitlines()[-8:])
            return DevStackError(f"{self.title} {problem}; see {self.log}, which ends:\n  {tail}")
        return DevStackError(f"{self.title} {problem}; there is no log")
