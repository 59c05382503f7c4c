"""Links to the stores that can be cut, stalled and healed, through the TCP proxy of the chaos harness."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from fleet import ROOT

from jobplatform.devstack.spawn import spawn


class Links:
    """Some links by name, each with a port of its own."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        assert process.stdout is not None
        self.ports: dict[str, int] = json.loads(process.stdout.readline())

    def order(self, what: str, name: str) -> None:
        """``cut``, ``stall`` or ``heal`` a link."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{what} {name}\n".encode())
        self.process.stdin.flush()


@contextmanager
def links(targets: Mapping[str, int]) -> Iterator[Links]:
    """Run a proxy with a link to each of some ports of the loopback."""
    argv = [sys.executable, "-m", "chaos.proxy", *(f"{name}={port}" for name, port in targets.items())]
    process = spawn(argv, signal.SIGKILL, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        yield Links(process)
    finally:
        process.kill()
        process.communicate()
