"""Jobs that come in at a steady rate."""

from __future__ import annotations

import threading
from typing import Any

from benchmarks.leaks.jobs import MIB
from benchmarks.leaks.world import JOBS, World

PAUSE_SECONDS = 0.5
#: A third of the load: six processes run jobs.
JOB_SECONDS = (0.2, 1.0)
EACH_PAUSE = 2


class Load:
    """Submit jobs of two types until it is told to stop; use it in a ``with`` block.

    :param leak: MiB that a job of the leaking type keeps.
    :param victim: the worker on which it does; "" for none.
    """

    def __init__(self, world: World, luck: Any, leak: float = 0.0, victim: str = "") -> None:
        self.world = world
        self.luck = luck
        self.leak = leak
        self.victim = victim
        self.submitted = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="load")

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> int:
        """Submit no more, and say how many there were."""
        self._stop.set()
        self._thread.join()
        return self.submitted

    def _run(self) -> None:
        tasks = self.world.client.tasks
        while not self._stop.wait(PAUSE_SECONDS):
            for _ in range(EACH_PAUSE):
                seconds = self.luck.uniform(*JOB_SECONDS)
                tasks[f"{JOBS}.leak"].submit(self.victim, int(self.leak * MIB), seconds)
                tasks[f"{JOBS}.work"].submit(seconds)
            self.submitted += 2 * EACH_PAUSE
