"""How many workers a pool is to have, as a row says."""

from __future__ import annotations

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
        with self.database.session() as session:
            row = fleets.read(session, self.settings.fleet_pool)
        least, most = self.settings.fleet_min, self.settings.fleet_max
        return max(least, min(row["wanted"] if row else least, most))

    def ask(self, wanted: int, reason: str) -> None:
        """Wish for so many; the controller brings that about."""
        with self.database.transaction() as transaction:
            fleets.wish(transaction, self.settings.fleet_pool, wanted, reason, self.by)
