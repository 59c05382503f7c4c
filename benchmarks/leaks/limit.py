"""A limit of memory that kills, as that of a container does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

import psutil

from jobplatform.workers.local_fleet import tree_of

_LOOK_SECONDS = 0.1


def memory_of(tree: Iterable[psutil.Process]) -> int:
    """Give the resident memory of some processes in bytes, as the kernel counts it for each."""
    taken = 0
    for process in tree:
        with suppress(psutil.NoSuchProcess):
            taken += process.memory_info().rss
    return taken


def has_ended(process: psutil.Process) -> bool:
    """Tell whether a process does not run any more, be it that nobody has asked for its end yet."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


class MemoryLimit:
    """Kill all processes of a worker once they take more than a limit together; use it in a ``with`` block.

    It stands for the control group of a container, which not every machine lets us make.

    :param workers: gives the ids of the main processes.
    """

    def __init__(self, limit: int, workers: Callable[[], Iterable[int]]) -> None:
        self.limit = limit
        self.workers = workers
        #: When each was killed, and the most that each took, by main process.
        self.killed: dict[int, float] = {}
        self.taken: dict[int, int] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory limit")

    def __enter__(self) -> MemoryLimit:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(_LOOK_SECONDS):
            for pid in self.workers():
                tree = tree_of(pid)
                taken = memory_of(tree)
                self.taken[pid] = max(taken, self.taken.get(pid, 0))
                if taken > self.limit:
                    self.killed.setdefault(pid, time.time())
                    for process in tree:
                        with suppress(psutil.NoSuchProcess):
                            process.kill()
