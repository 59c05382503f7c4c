"""The processes of a run, each started again by a supervisor when it dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil

from chaos.evidence import Life
from chaos.plan import BEATS, CLIENTS, CONTROLLER, WORKERS
from jobplatform.devstack.spawn import spawn

ROOT = Path(__file__).resolve().parents[1]
#: After how many seconds a process that died on its own is started again.
_RESTART_SECONDS = 0.5
_STOP_SECONDS = 30.0
#: The pool of each worker; few, since two cores carry everything.
POOLS = {"w0": ("-c", "2"), "w1": ("-c", "2"), "w2": ("-c", "4", "-P", "threads")}


@dataclass(slots=True)
class Program:
    """A command that is kept running.

    :param env: its whole environment.
    :param due: when it is to be started again, in seconds since the epoch.
    :param deaths: ends that nobody had ordered.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    due: float = 0.0
    ordered: bool = False
    deaths: int = 0
    lives: list[Life] = field(default_factory=list)

    @property
    def alive(self) -> bool:
        """Whether the process lives."""
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self) -> int:
        """The id of the living process."""
        assert self.process is not None
        return self.process.pid

    def start(self) -> None:
        """Start the process; it dies with us."""
        with self.log.open("ab") as log:
            self.process = spawn(self.argv, signal.SIGKILL, env=self.env, cwd=ROOT, stdout=log)
        self.ordered = False
        self.lives.append(Life(self.name, self.pid, time.time()))

    def kill(self, lasts: float, tree: bool = False) -> int:
        """Kill the process, or all its children with it, and say when it may come back; return its id."""
        self.ordered, self.due = True, time.time() + lasts
        if tree:
            os.killpg(self.pid, signal.SIGKILL)
        else:
            os.kill(self.pid, signal.SIGKILL)
        return self.pid

    def children(self) -> list[int]:
        """List the processes of its pool."""
        with suppress(psutil.NoSuchProcess):
            return sorted(child.pid for child in psutil.Process(self.pid).children())
        return []

    def tend(self, now: float) -> None:
        """Start the process again if it is dead and its time has come."""
        if self.process is None or self.alive:
            return
        if not self.ordered:
            self.deaths, self.ordered, self.due = self.deaths + 1, True, now + _RESTART_SECONDS
        if now >= self.due:
            self.bury()
            self.start()

    def bury(self) -> None:
        """Kill what is left of the process and its children, as a supervisor does before it starts them anew."""
        if self.process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.lives[-1] = replace(self.lives[-1], until=time.time())
        self.process = None

    def stop(self) -> None:
        """End the process as an operator would."""
        if self.alive:
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(_STOP_SECONDS)  # type: ignore[union-attr]
        self.bury()

    def ask_to_stop(self) -> None:
        """Send SIGTERM, to one that may be stopped too."""
        if self.alive:
            for number in (signal.SIGCONT, signal.SIGTERM):
                with suppress(ProcessLookupError):
                    os.killpg(self.pid, number) if number == signal.SIGCONT else os.kill(self.pid, number)


class Fleet:
    """Workers, a controller, beats and clients.

    :param env: the environment of each party, by its name.
    :param logs: where their output goes.
    :param rate: jobs a second of all clients together.
    """

    def __init__(self, env: Mapping[str, Mapping[str, str]], logs: Path, seed: int, rate: float) -> None:
        self.programs = {
            name: Program(name, argv, env[_party(name)], logs / f"{name}.log")
            for name, argv in _commands(seed, rate).items()
        }

    def living(self, names: Sequence[str]) -> list[Program]:
        """List those that live, of some."""
        return [self.programs[name] for name in names if self.programs[name].alive]

    def start(self, names: Sequence[str]) -> None:
        """Start some programs."""
        for name in names:
            self.programs[name].start()

    def tend(self) -> None:
        """Start again whatever is dead and due."""
        now = time.time()
        for program in self.programs.values():
            program.tend(now)

    def stop(self, names: Sequence[str]) -> None:
        """End some programs and wait for their ends."""
        for name in names:
            self.programs[name].ask_to_stop()
        for name in names:
            self.programs[name].stop()

    def kill(self) -> None:
        """Leave nothing behind, whatever happened."""
        for program in self.programs.values():
            program.bury()

    def lives(self) -> list[Life]:
        """List every life of every program."""
        return [life for program in self.programs.values() for life in program.lives]


def _party(name: str) -> str:
    return "clients" if name in CLIENTS else "beats" if name in BEATS else name


def _commands(seed: int, rate: float) -> dict[str, list[str]]:
    celery = [sys.executable, "-m", "celery", "-A", "jobplatform"]
    commands = {name: [*celery, "worker", "-n", f"{name}@%h", "-l", "WARNING", *POOLS[name]] for name in WORKERS} | {
        CONTROLLER: [*celery, "controller", "-l", "WARNING"]
    }
    commands |= {name: [*celery, "beat", "-l", "WARNING"] for name in BEATS}
    share = str(rate / len(CLIENTS))
    return commands | {name: [sys.executable, "-m", "chaos.client", name, str(seed), share] for name in CLIENTS}
