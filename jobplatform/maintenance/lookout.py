"""Look at what alerts are about: the tables, and Redis beside them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from jobplatform.maintenance.conditions import Lost, Missed, Open, Sight, Thresholds, Waiting
from jobplatform.settings import Settings
from jobplatform.store import audit, fleets, sight
from jobplatform.store.database import Database, Transaction
from jobplatform.transport import census, keys

#: Between two looks at the end of the audit log, and how many rows it is.
_AUDIT, _AUDIT_ROWS = timedelta(minutes=10), 10_000


class Lookout:
    """Read what the conditions are judged by.

    :param client: a Redis client.
    :param unreachable: what it raises when Redis cannot be reached.
    """

    def __init__(
        self,
        database: Database,
        client: Any,
        settings: Settings,
        limits: Thresholds,
        unreachable: tuple[type[Exception], ...],
    ) -> None:
        self.database = database
        self.client = client
        self.settings = settings
        self.limits = limits
        self.unreachable = unreachable
        self._audited: datetime | None = None
        self._broken: int | None = None

    def look(self, now: datetime) -> Sight:
        """Look once."""
        problem, memory, journal = self._redis()
        with self.database.session() as session:
            return Sight(
                letters=sight.letters(session, now - timedelta(minutes=self.limits.minutes)),
                waiting=[Waiting(**row) for row in sight.queues(session, now, self._sampled())],
                wanted=self._wanted(session, now),
                alive=sight.alive(session),
                lost=[Lost(**row) for row in sight.lost(session, now)],
                missed=[Missed(**row) for row in sight.missed(session, now)],
                breakers=[Open(**row) for row in sight.breakers(session)],
                redis=problem,
                memory=memory,
                journal=journal,
                decisions=sight.decisions(session, now - timedelta(hours=1)),
                broken=self._audit(session, now),
            )

    def _redis(self) -> tuple[str | None, float, int]:
        try:
            memory = census.memory(self.client)
            return None, memory.used / memory.most if memory.most else 0.0, int(self.client.xlen(keys.JOURNAL))
        except self.unreachable as error:
            return str(error) or type(error).__name__, 0.0, 0

    def _sampled(self) -> timedelta:
        return timedelta(seconds=3 * self.settings.sample_seconds)

    def _wanted(self, session: Transaction, now: datetime) -> int | None:
        """Say how many workers there are to be; of a wish that is new, nothing, as they are on their way."""
        if self.settings.fleet == "off":
            return None
        wish = fleets.read(session, self.settings.fleet_pool)
        if wish is None:
            return self.settings.fleet_min
        young = now - wish["asked_at"] < timedelta(seconds=2 * self.settings.fleet_start_seconds)
        return None if young else int(wish["wanted"])

    def _audit(self, session: Transaction, now: datetime) -> int | None:
        if self._audited is None or now - self._audited >= _AUDIT:
            self._broken, self._audited = audit.broken_lately(session, _AUDIT_ROWS), now
        return self._broken


Look = Callable[[datetime], Sight]
