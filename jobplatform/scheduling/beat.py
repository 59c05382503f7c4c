"""The scheduler of ``celery beat``: the rows of ``job_schedules``, and what a row cannot hold as Celery does it."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from celery.beat import Scheduler

from jobplatform.jobs.platform import platform_of
from jobplatform.scheduling.declared import facts_of, rows_of_entries, rows_of_types
from jobplatform.scheduling.ticker import Ticker
from jobplatform.store import schedules
from jobplatform.store.database import UNREACHABLE, Database

logger = logging.getLogger(__name__)

#: Seconds until PostgreSQL is asked again after it was away.
_AGAIN_SECONDS = 1.0


class JobScheduler(Scheduler):  # type: ignore[misc]
    """Fire the schedules whose time has come; any number of beats may run."""

    def setup_schedule(self) -> None:
        """Write the rows that the code declares."""
        platform = platform_of(self.app)
        self.clock = platform.clock
        self.database = Database(platform.settings, pool_size=2, only_indexes=True)
        stop_time = timedelta(seconds=platform.settings.stop_seconds)
        self.ticker = Ticker(self.database, partial(facts_of, self.app), stop_time)
        self.synced = False
        self.schedule: dict[str, Any] = {}
        held = {row["name"] for row in rows_of_entries(self.app)}
        self.merge_inplace({name: entry for name, entry in self.app.conf.beat_schedule.items() if name not in held})
        self.install_default_entries(self.schedule)

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Fire what is due; returns for how many seconds nothing is."""
        pause: float = super().tick(*args, **kwargs)
        try:
            self._sync_declared()
            now = datetime.fromtimestamp(self.clock(), UTC)
            counts = self.ticker.run_once(now)
            return 0.0 if counts else min(pause, self.ticker.pause(now))
        except UNREACHABLE as error:
            logger.warning("PostgreSQL is away, its schedules wait: %s", str(error).partition("\n")[0])
            return min(pause, _AGAIN_SECONDS)

    def _sync_declared(self) -> None:
        if self.synced:
            return
        rows = [*rows_of_types(self.app), *rows_of_entries(self.app)]
        with self.database.transaction() as transaction:
            schedules.put_declared(transaction, rows)
        self.synced = True

    def close(self) -> None:
        """Close the connections."""
        super().close()
        self.database.close()
