"""Workers, controllers and clients as processes: started, ready, frozen, stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
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


def celery(contender: Contender, *arguments: str) -> list[str]:
    """Give what ``python -m`` takes for a command of Celery's, with the application of a contender."""
    return [*contender.launcher, "-A", contender.application, *arguments, "-l", "WARNING"]


class Program:
    """A process of a module, with its children and its log.

    :param command: what ``python -m`` takes.
    """

    def __init__(self, name: str, command: Sequence[str], env: Mapping[str, str], logs: Path):
        self.name = name
        self.log = logs / f"{name}.log"
        with self.log.open("wb") as log:
            self.process = spawn([sys.executable, "-m", *command], signal.SIGTERM, env=env, cwd=ROOT, stdout=log)

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


@dataclass(slots=True)
class Running:
    """The processes of a contender, and what runs beside them."""

    nodes: list[Program] = field(default_factory=list)
    controller: Program | None = None
    beside: list[Program] = field(default_factory=list)

    def programs(self) -> list[Program]:
        """List them in the order in which they end: who looks goes first."""
        return [*reversed(self.beside), *self.nodes, *([self.controller] if self.controller else [])]


@contextmanager
def running(bench: Bench, contender: Contender, schema: str = SCHEMA, workers: bool = True) -> Iterator[Running]:
    """Run a contender's workers, and for ours a controller, while the block runs.

    :param workers: False for the controller alone.
    """
    env = bench.environment(contender, schema)
    processes = Running()
    try:
        for number, arguments in enumerate(contender.nodes if workers else ()):
            name = f"{contender.name}-{number}"
            processes.nodes.append(Program(name, celery(contender, "worker", *arguments), env, bench.logs))
        if contender.durable:
            processes.controller = Program("controller", celery(contender, "controller"), env, bench.logs)
        _wait_ready(bench, processes)
        yield processes
        for program in processes.programs():
            program.check_alive()
    finally:
        _stop(processes.programs())


def _wait_ready(bench: Bench, processes: Running) -> None:
    def ready() -> bool:
        for program in processes.programs():
            program.check_alive()
        controlled = processes.controller is None or bench.redis.exists(keys.CONTROLLER)
        return bool(controlled and bench.scratch.llen(READY) >= len(processes.nodes))

    wait_until(ready, "workers and controller are ready", _READY_SECONDS)


def _stop(programs: list[Program]) -> None:
    for program in programs:
        with suppress(ProcessLookupError):
            program.process.send_signal(signal.SIGTERM)
    for program in programs:
        program.stop()


def freeze(processes: Running) -> Callable[[], None]:
    """Stop the workers in their tracks; what is returned lets them all go on."""
    frozen = [process for node in processes.nodes for process in node.tree()]
    for process in frozen:
        process.suspend()

    def thaw() -> None:
        for process in frozen:
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
