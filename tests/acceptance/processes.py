"""Programs that run beside a test, and waiting for what they do."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from jobplatform.devstack.spawn import spawn

_STOP_SECONDS = 20.0

Value = TypeVar("Value")


def eventually(check: Callable[[], Value], seconds: float, what: Callable[[], str] = lambda: "") -> Value:
    """Ask until the answer is truthy and return it; fail when it never is.

    :param what: says in the failure what was seen last.
    """
    deadline = time.monotonic() + seconds
    while not (value := check()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what()}")
        time.sleep(0.1)
    return value


@contextmanager
def running(argv: list[str], env: Mapping[str, str], cwd: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``python argv`` beside the block, its output in a file; at the end nothing of it is left."""
    with log.open("wb") as output:
        process = spawn([sys.executable, *argv], signal.SIGKILL, env=env, cwd=cwd, stdout=output)
        try:
            yield process
        finally:
            stop(process)


def stop(process: subprocess.Popen[bytes]) -> int:
    """Ask a process to end, kill it and its children if it does not, and return its exit code."""
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    return process.wait()


def answer_of(code: str, env: Mapping[str, str], cwd: Path, seconds: float = 60.0) -> Any:
    """Run some Python in a process of its own and return the JSON that it prints last."""
    done = subprocess.run(
        [sys.executable, "-c", code], env=dict(env), cwd=cwd, capture_output=True, text=True, timeout=seconds
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def tail(log: Path, lines: int = 40) -> str:
    """Give the last lines of a log."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
