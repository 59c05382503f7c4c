"""Workers, controllers and clients as processes: started, ready, frozen, stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import psutil

from benchmarks.apps.work import READY
from benchmarks.contenders import Contender
from benchmarks.stacks import SCHEMA, Bench, BenchmarkError, wait_until
from jobplatform.devstack.spawn import spawn
from jobplatform.transport import keys

P = ParamSpec("P")
Result = TypeVar("Result")

ROOT = Path(__file__).resolve().parents[1]
_READY_SECONDS = 60
_STOP_SECONDS = 30.0


class Program:
    """A ``celery -A application ...`` process with its children and its log."""

    def __init__(
        self, name: str, application: str, arguments: tuple[str, ...], env: Mapping[str, str], logs: Path
    ) -> None:
        self.name = name
        self.log = logs / f"{name}.log"
        argv = [sys.executable, "-m", "celery", "-A", application, *arguments, "-l", "WARNING"]
        with self.log.open("wb") as log:
            self.process = spawn(argv, signal.SIGTERM, env=env, cwd=ROOT, stdout=log)

    def tree(self) -> list[psutil.Process]:
        """List the process and all below it."""
        main = psutil.Process(self.process.pid)
        return [main, *main.children(recursive=True)]

    def check_alive(self) -> None:
        """Raise when the process has ended."""
        if self.process.poll() is not None:
            tail = "\n  ".join(self.log.read_text(errors="replace").splitlines()[-15:])
            raise BenchmarkError(f"{self.name} ended with {self.process.returncode}; its log ends:\n  {tail}")

    def stop(self) -> None:
        """End the process as an operator would, and whatever is left of it."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(_STOP_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextmanager
def running(bench: Bench, contender: Contender, schema: str = SCHEMA) -> Iterator[list[Program]]:
    """Run a contender's workers, ours with a controller, while the block runs; give the workers."""
    env = bench.environment(contender, schema)
    programs: list[Program] = []
    try:
        for number, arguments in enumerate(contender.nodes):
            name = f"{contender.name}-{number}"
            programs.append(Program(name, contender.application, ("worker", *arguments), env, bench.logs))
        nodes = list(programs)
        if contender.durable:
            programs.append(Program("controller", contender.application, ("controller",), env, bench.logs))
        _wait_ready(bench, nodes, contender.durable)
        yield nodes
        for program in programs:
            program.check_alive()
    finally:
        _stop(programs)


@contextmanager
def controlled(bench: Bench, contender: Contender) -> Iterator[None]:
    """Run our controller alone while the block runs."""
    program = Program("controller", contender.application, ("controller",), bench.environment(contender), bench.logs)
    try:
        _wait_ready(bench, [], durable=True)
        yield
        program.check_alive()
    finally:
        _stop([program])


def _wait_ready(bench: Bench, nodes: list[Program], durable: bool) -> None:
    def ready() -> bool:
        for node in nodes:
            node.check_alive()
        return bool(bench.scratch.llen(READY) >= len(nodes) and (not durable or bench.redis.exists(keys.CONTROLLER)))

    wait_until(ready, "workers and controller are ready", _READY_SECONDS)


def _stop(programs: list[Program]) -> None:
    for program in programs:
        with suppress(ProcessLookupError):
            program.process.send_signal(signal.SIGTERM)
    for program in programs:
        program.stop()


def freeze(nodes: list[Program]) -> Callable[[], None]:
    """Stop workers in their tracks; what is returned lets them all go on."""
    processes = [process for node in nodes for process in node.tree()]
    for process in processes:
        process.suspend()

    def thaw() -> None:
        for process in processes:
            process.resume()

    return thaw


class Client:
    """A process of its own that submits as a contender's client does.

    Two in one process would not do: attaching the platform puts its transport in the place of kombu's.
    """

    def __init__(self, bench: Bench, contender: Contender, schema: str = SCHEMA) -> None:
        env = bench.environment(contender, schema)
        self._pool = ProcessPoolExecutor(1, get_context("spawn"), _adopt, (env,))

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: Any) -> None:
        self._pool.shutdown(cancel_futures=True)

    def start(self, function: Callable[P, Result], *args: P.args, **kwargs: P.kwargs) -> Future[Result]:
        """Begin to run a module-level function in the client."""
        return self._pool.submit(function, *args, **kwargs)

    def run(self, function: Callable[P, Result], *args: P.args, **kwargs: P.kwargs) -> Result:
        """Run a module-level function in the client and return what it returns."""
        return self.start(function, *args, **kwargs).result()


def _adopt(env: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(env)
