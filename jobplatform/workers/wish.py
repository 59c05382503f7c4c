"""How many workers a pool is to have, as a row says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobplatform.settings import Settings
from jobplatform.store import fleets
from jobplatform.store.database import Database


class Wish:
    """Read and write how many workers the fleet of the settings is to have.

    :param by: who writes.
    """

    def __init__(self, database: Database, settings: Settings, by: str) -> None:
        self.database = database
        self.settings = settings
        self.by = by

    def size(self) -> int:
        """Give what is wished for, the least when nobody has said, and within the bounds."""
        row = self._row()
        least, most = self.settings.fleet_min, self.settings.fleet_max
        return max(least, min(row["wanted"] if row else least, most))

    def holder(self) -> str:
        """Name who has asked for a number that holds until they leave it to the scaler; nobody if it is ours."""
        row = self._row()
        return row["asked_by"] if row and row["asked_by"] != self.by else ""

    def ask(self, wanted: int, reason: str) -> None:
        """Wish for so many, unless somebody else has; the controller brings that about."""
        with self.database.transaction() as transaction:
            fleets.follow(transaction, self.settings.fleet_pool, wanted, reason, self.by)

    def _row(self) -> Mapping[str, Any] | None:
        with self.database.session() as session:
            return fleets.read(session, self.settings.fleet_pool)
