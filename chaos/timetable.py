"""The schedules of a run."""

from __future__ import annotations

import json
import time
from dataclasses import replace

from chaos.evidence import PART, Schedule
from chaos.ledger import Pen
from chaos.rows import Stores

#: Seconds between the fires of each schedule, and what its jobs take; those of the second kind wait for each other.
_FIRES = ((2, 0.0), (3, 0.0), (5, 0.0), (7, 0.0))
_QUEUES = ((3, 0.4), (5, 0.8))
_OF_EACH = 3


class Timetable:
    """Let schedules fire, and end them.

    :param schedules: what is to be judged.
    """

    def __init__(self, stores: Stores, pen: Pen) -> None:
        self.stores = stores
        self.pen = pen
        self.schedules: list[Schedule] = []

    def begin(self) -> None:
        """Write the rows."""
        for number in range(_OF_EACH):
            for seconds, takes in _FIRES:
                self._put(f"fire-{seconds}-{number}", "fire", seconds, takes, "allow_all")
            for seconds, takes in _QUEUES:
                self._put(f"queue-{seconds}-{number}", "queue", seconds, takes, "buffer_all")

    def _put(self, name: str, kind: str, seconds: float, takes: float, overlap: str) -> None:
        token = self.pen.intend(kind, group=name)
        payload = {"args": [], "kwargs": {"token": f"{token}{PART}0", "seconds": takes}}
        self.stores.put_schedule(name=name, cron=f"@every {seconds}s", payload=json.dumps(payload), overlap=overlap)
        self.schedules.append(Schedule(f"{token}{PART}0", seconds, time.time()))

    def end(self) -> bool:
        """Ask for no more times; tell whether all that were asked for have fired, and none will."""
        if self.schedules[0].until > time.time():
            now = time.time()
            self.schedules = [replace(schedule, until=now) for schedule in self.schedules]
        if self.stores.schedules_behind(self.schedules[0].until):
            return False
        self.stores.query("update job_schedules set enabled = false")
        return True
