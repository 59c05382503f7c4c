"""Jobs of workers that died: what had started is journalled as lost, what had not goes back to its queue."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

from jobplatform.transport import keys
from jobplatform.transport.rescue import rescue

#: Leases taken away in one script, which nothing else runs beside.
_LIMIT = 200


class Rescuer:
    """Take leases away from workers that are silent for three heartbeats.

    :param client: a Redis client.
    :param stale_seconds: a worker that is silent for so long counts as dead.
    """

    name = "rescuer"

    def __init__(self, client: Any, stale_seconds: float) -> None:
        self.client = client
        self.stale_seconds = stale_seconds
        self.interval = min(1.0, stale_seconds / 6)
        self._run = ""

    def run_once(self, now: datetime) -> Counter[str]:
        """Rescue what is held by silent workers; a Redis that was started again is watched anew."""
        run = self.client.info("server")["run_id"]
        if run != self._run and self._run:
            self.client.delete(keys.WATCH)
        self._run = run
        found = rescue(self.client, self.stale_seconds, _LIMIT, watched=max(self.interval * 3, self.stale_seconds / 3))
        return +Counter(lost=found.lost, returned=found.returned)
