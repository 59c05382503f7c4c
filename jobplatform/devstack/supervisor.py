"""The supervisor: run named processes, show their logs, start again what dies, stop all of them."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType
from typing import IO, TextIO

from jobplatform.devstack.spawn import spawn

_TICK_SECONDS = 0.2
_LINE_LIMIT = 65_536
_COLOURS = (36, 33, 35, 32, 34, 31)


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """A process to keep alive: its name in the log, its command and its whole environment."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before a dead process is started again, in seconds."""

    first: float = 0.5
    limit: float = 30.0
    healthy: float = 30.0

    def failures(self, before: int, lived: float) -> int:
        """Count a death: a process that lived long enough begins to count anew.

        :param before: the deaths in a row before this one.
        :param lived: how long the process lived, in seconds.
        """
        return 1 if lived >= self.healthy else before + 1

    def delay(self, failures: int) -> float:
        """Give the wait after so many deaths in a row, in seconds."""
        return min(self.limit, self.first * 2.0 ** min(failures - 1, 60)) if failures else 0.0


def log_prefix(name: str, width: int, colour: int | None) -> str:
    """Write what stands before each log line of a process.

    :param width: the length of the longest name.
    :param colour: an ANSI colour number; None writes plain text.
    """
    text = f"{name:<{width}} | "
    return text if colour is None else f"\x1b[{colour}m{text}\x1b[0m"


def split_lines(pending: bytes, chunk: bytes) -> tuple[list[str], bytes]:
    """Cut whole lines off a stream; return them and the bytes of the unfinished one."""
    *lines, rest = (pending + chunk).split(b"\n")
    if len(rest) >= _LINE_LIMIT:
        lines, rest = [*lines, rest], b""
    return [line.decode(errors="replace").rstrip("\r") for line in lines], rest


class Child:
    """One supervised process, over all its lives.

    :param prefix: what stands before each line of its log.
    """

    def __init__(self, spec: ProcessSpec, prefix: str) -> None:
        self.spec = spec
        self.prefix = prefix
        self.process: subprocess.Popen[bytes] | None = None
        self.failures = 0
        self.due = 0.0
        self.started = 0.0
        self.pending = b""
        self.ended = False

    @property
    def output(self) -> IO[bytes]:
        """The pipe of the process's log."""
        assert self.process is not None and self.process.stdout is not None
        return self.process.stdout

    def start(self, now: float) -> None:
        """Start the process in a session of its own, so that Ctrl-C reaches only us."""
        # The worker drains on SIGTERM; should we be killed, it does that by itself.
        self.process = spawn(self.spec.argv, signal.SIGTERM, env=self.spec.env)
        self.started = now
        self.ended = False
        os.set_blocking(self.output.fileno(), False)

    def read(self) -> list[str] | None:
        """Read the whole lines that have come; None when nothing has."""
        try:
            chunk = os.read(self.output.fileno(), _LINE_LIMIT)
        except BlockingIOError:
            return None
        self.ended = not chunk
        lines, self.pending = split_lines(self.pending, chunk)
        return lines

    def read_rest(self) -> list[str]:
        """Read all that there is, the unfinished last line too."""
        found: list[str] = []
        while not self.ended and (lines := self.read()) is not None:
            found += lines
        rest, self.pending = self.pending, b""
        return [*found, rest.decode(errors="replace")] if rest else found

    def kill_group(self) -> None:
        """Kill what is left of the process and of those that it started."""
        if self.process is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


class Supervisor:
    """Keep processes alive until told to stop.

    :param out: where the log lines go.
    :param grace: how long each process may take to stop, in seconds, before it is killed.
    """

    def __init__(
        self, specs: Sequence[ProcessSpec], out: TextIO, grace: float = 30.0, backoff: Backoff | None = None
    ) -> None:
        self.out = out
        self.grace = grace
        self.backoff = backoff or Backoff()
        self.selector = selectors.DefaultSelector()
        names = ["supervisor", *(spec.name for spec in specs)]
        width = max(map(len, names))
        colours = [_COLOURS[n % len(_COLOURS)] if out.isatty() else None for n in range(len(specs))]
        self.prefix = log_prefix("supervisor", width, None)
        prefixes = [log_prefix(spec.name, width, colour) for spec, colour in zip(specs, colours, strict=True)]
        self.children = [Child(spec, prefix) for spec, prefix in zip(specs, prefixes, strict=True)]

    def run(self, stop: threading.Event) -> None:
        """Start everything, in order, and keep it alive until the event is set; leave no process behind."""
        try:
            while not stop.is_set():
                for child in self.children:
                    self._tend(child, time.monotonic())
                self._pump(_TICK_SECONDS)
        finally:
            for child in reversed(self.children):
                self._stop(child)
            self.selector.close()

    def _tend(self, child: Child, now: float) -> None:
        """Start a process that is due; note the end of one that died and when it is due again."""
        if child.process is None:
            if now >= child.due:
                child.start(now)
                self.selector.register(child.output, selectors.EVENT_READ, child)
            return
        code = child.process.poll()
        if code is None:
            return
        self._bury(child)
        child.failures = self.backoff.failures(child.failures, now - child.started)
        delay = self.backoff.delay(child.failures)
        child.due = now + delay
        self._say(f"{child.spec.name} ended with {code}; it is started again in {delay:g} s")

    def _stop(self, child: Child) -> None:
        if child.process is None:
            return
        deadline = time.monotonic() + self.grace
        if child.process.poll() is None:
            child.process.terminate()
        while child.process.poll() is None and time.monotonic() < deadline:
            self._pump(min(0.05, self.grace))
        if child.process.poll() is None:
            self._say(f"{child.spec.name} did not stop within {self.grace:g} s and is killed")
        self._bury(child)

    def _bury(self, child: Child) -> None:
        """Kill what the process left running, show the rest of its log and close it."""
        child.kill_group()
        if not child.ended:
            self.selector.unregister(child.output)
        self._show(child, child.read_rest())
        child.output.close()
        child.process = None

    def _pump(self, seconds: float) -> None:
        """Show what the processes wrote, after waiting for it at most some seconds."""
        for key, _ in self.selector.select(seconds):
            self._show(key.data, key.data.read() or [])
            if key.data.ended:
                self.selector.unregister(key.fileobj)

    def _show(self, child: Child, lines: list[str]) -> None:
        for line in lines:
            self._write(f"{child.prefix}{line}")

    def _say(self, text: str) -> None:
        self._write(f"{self.prefix}{text}")

    def _write(self, line: str) -> None:
        # A console that went away must not keep us from stopping the processes.
        with suppress(BrokenPipeError):
            print(line, file=self.out, flush=True)


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """Give an event that SIGINT and SIGTERM set, while the block runs; for the main thread."""
    stop = threading.Event()

    def note(number: int, frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


def run(
    specs: Sequence[ProcessSpec],
    stop_event: threading.Event,
    *,
    out: TextIO | None = None,
    grace: float = 30.0,
    backoff: Backoff | None = None,
) -> None:
    """Run processes until the event is set, then stop them in reverse order.

    :param out: where the log lines go; None is the standard output.
    :param grace: how long each process may take to stop, in seconds.
    """
    Supervisor(specs, out or sys.stdout, grace, backoff).run(stop_event)
