"""Programs of ours that begin as forks of a process which has done the imports, most of the work of a short test."""

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
from functools import cache
from pathlib import Path
from typing import Any

from seedbed import MOST_BYTES

from jobplatform.devstack.spawn import spawn

_SEEDBED = Path(__file__).with_name("seedbed.py")


class Seedling:
    """A program that the nursery has begun, with the methods of ``subprocess.Popen`` that tests use."""

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
    """Start Python modules without the time that their imports take; everything else of a process is its own."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = spawn([sys.executable, str(_SEEDBED)], signal.SIGKILL, stdin=theirs.fileno(), stdout=2)
        self._line = ours
        self._lock = threading.Lock()

    def ask(self, **request: Any) -> Any:
        """Ask the seedbed for something, and return its answer."""
        with self._lock:
            self._line.send(json.dumps(request).encode())
            answer = self._line.recv(MOST_BYTES)
        assert answer, f"the seedbed has ended with {self._process.poll()}"
        return json.loads(answer)

    def start(self, module: str, arguments: Sequence[str], env: Mapping[str, str], cwd: Path, log: Path) -> Seedling:
        """Run a module as ``python -m`` does, in a session of its own; it is killed when we are gone."""
        log.touch()
        started = self.ask(module=module, arguments=arguments, env=dict(env), cwd=str(cwd), log=str(log))
        return Seedling(self, started)


@cache
def nursery() -> Nursery:
    """Give the nursery of this test process, which ends with it."""
    return Nursery()
