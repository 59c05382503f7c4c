"""The prefork pool, which talks with its processes in fewer system calls and fewer turns of the event loop.

A process says two things of a short job, that it began and how it ended, and mostly both are there when the main
process looks. Celery's pool reads each in four calls and a turn of the loop of its own, and it asks the kernel whether
an idle process can be written to before it writes: together more than a third of the main process's time.
"""

from __future__ import annotations

import os
import pickle
import struct
from collections import deque
from collections.abc import Callable, Generator
from typing import Any

from billiard.common import human_status
from billiard.einfo import ExceptionInfo
from billiard.exceptions import WorkerLostError
from celery.concurrency import asynpool, prefork

from jobplatform.journal.processes import read_process
from jobplatform.journal.shared_log import SHARED_FILES

#: So many bytes are read at once: what a pipe holds.
_PIPE_BYTES = 65_536
#: A write of so few bytes is done at once or not at all (POSIX, PIPE_BUF).
_WHOLE_BYTES = 4_096
_HEADER = struct.Struct(">I")
_ENDED = object()


class ResultHandler(asynpool.ResultHandler):  # type: ignore[misc]
    """Read all that a process has written in one call."""

    hub: Any = None

    def _make_process_result(self, hub: Any) -> Callable[[int], None]:
        self.hub = hub

        def read(fd: int) -> None:
            if fd not in self.fileno_to_outq:
                hub.remove_reader(fd)
                return
            try:
                received = os.read(fd, _PIPE_BYTES)
            except BlockingIOError:
                return
            except OSError:
                received = b""
            if not received:
                hub.remove_reader(fd)
                return
            messages, begun = split(received)
            if begun:
                rest = self._rest_of(hub, fd, begun)
                # What reads the pipe at shutdown looks for this generator first.
                hub.add_reader(fd, rest)
            self._tell(deque(messages))

        return read

    def _tell(self, messages: deque[Any]) -> None:
        try:
            while messages:
                self.on_state_change(messages.popleft())
        finally:
            if messages:
                self._tell(messages)

    def _rest_of(self, hub: Any, fd: int, begun: bytes) -> Generator[None, None, None]:
        """Read the rest of a message, and nothing after it."""
        parts = bytearray(begun)
        while missing := _missing(parts):
            try:
                received = os.read(fd, missing)
            except BlockingIOError:
                yield
                continue
            if not received:
                raise EOFError
            parts += received
        hub.add_reader(fd, self.handle_event, fd)
        self._tell(deque(split(bytes(parts))[0]))


def split(received: bytes) -> tuple[list[Any], bytes]:
    """Split what was read from a process into its messages and the beginning of one more."""
    messages, at = [], 0
    while len(received) - at >= _HEADER.size:
        (size,) = _HEADER.unpack_from(received, at)
        begin, end = at + _HEADER.size, at + _HEADER.size + size
        if end > len(received):
            break
        if message := pickle.loads(received[begin:end]):
            messages.append(message)
        at = end
    return messages, received[at:]


def _missing(parts: bytearray) -> int:
    """Tell how many bytes of the header, or else of the message, are still to be read."""
    if len(parts) < _HEADER.size:
        return _HEADER.size - len(parts)
    size: int = _HEADER.unpack_from(parts)[0]
    return _HEADER.size + size - len(parts)


class _Writers:
    """The part of the event loop that writes to pool processes, which forgets only what it knows."""

    consolidate_callback: Callable[[list[int]], None]

    def __init__(self, hub: Any) -> None:
        self._hub = hub
        self.add = hub.add
        self.add_writer = hub.add_writer
        self.remove = hub.remove

    def remove_writer(self, fd: int) -> None:
        if fd in self._hub.writers:
            self._hub.remove_writer(fd)


class JobPool(asynpool.AsynPool):  # type: ignore[misc]
    """Celery's process pool, which hands a job to an idle process at once."""

    ResultHandler = ResultHandler

    def on_job_process_down(self, job: Any, pid_gone: int) -> None:
        """Hear first what the process said before it died: a job that it began is lost, and not begun again."""
        process = job._write_to
        if process and not job._accepted and not process._is_alive():
            self.process_flush_queues(process)
            if job._accepted:
                return
        super().on_job_process_down(job, pid_gone)

    def _create_worker_process(self, number: int) -> Any:
        """Read the memory of a process as it begins: the first job that it is handed may be its end."""
        with SHARED_FILES.lending() as lent:
            process = super()._create_worker_process(number)
            lent(process.pid)
        read_process(process.pid)
        return process

    def _worker_active(self, worker: Any) -> bool:
        """Tell whether a process is not to end when the pool shrinks: it runs a job, or was handed one just now."""
        handed = any(job._write_to is worker for job in list(self._cache.values()))
        return handed or bool(super()._worker_active(worker))

    def mark_as_worker_lost(self, job: Any, exitcode: int) -> None:
        """Let a job fail whose process died, and keep the exit code with the failure."""
        lost = WorkerLostError(f"Worker exited prematurely: {human_status(exitcode)} Job: {job._job}.")
        lost.exit_code = exitcode
        try:
            raise lost
        except WorkerLostError:
            job._set(None, (False, ExceptionInfo()))

    def flush(self) -> None:
        """Keep what was handed over when the broker is lost: its lease outlives the connection that it came over."""
        self.maintain_pool()

    def process_flush_queues(self, proc: Any) -> None:
        """Hear the rest of what a process said; a message that its death cut short is dropped."""
        hub = self._result_handler.hub
        begun, _ = hub.readers.get(proc.outqR_fd, (None, ())) if hub else (None, ())
        if not isinstance(begun, Generator) or next(begun, _ENDED) is _ENDED:
            super().process_flush_queues(proc)

    def _create_write_handlers(self, hub: Any, **options: Any) -> None:
        writers = _Writers(hub)
        super()._create_write_handlers(writers, **options)
        if self.sched_strategy != asynpool.SCHED_STRATEGY_FAIR:
            hub.consolidate_callback = writers.consolidate_callback
            return
        write = writers.consolidate_callback
        outbound, idle_of = self.outbound_buffer, self._all_inqueues.difference

        def hand_out() -> None:
            if outbound:
                idle = idle_of(self._busy_workers, self._active_writes)
                if idle:
                    write(list(idle))

        def put(task: Any) -> None:
            body = pickle.dumps(task, protocol=pickle.HIGHEST_PROTOCOL)
            job = self._cache[task[1][0]]
            job._payload = _payload(body)
            outbound.append(job)
            hand_out()

        self._quick_put = put
        self.on_poll_start = hand_out


def _payload(body: bytes) -> tuple[memoryview, memoryview, int]:
    """Give header and body as Celery's pool writes them: a small message in one call."""
    header = _HEADER.pack(len(body))
    if len(header) + len(body) <= _WHOLE_BYTES:
        return memoryview(header + body), memoryview(b""), 0
    return memoryview(header), memoryview(body), len(body)


def install() -> None:
    """Let the prefork pool of this process be ours."""
    prefork.TaskPool.Pool = JobPool
