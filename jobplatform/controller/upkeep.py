"""What is done so that the platform stays in order for years, put together."""

from __future__ import annotations

from pathlib import Path

from jobplatform.maintenance.job_files import JobFiles
from jobplatform.maintenance.keeping import Keeping
from jobplatform.maintenance.retention import Retention
from jobplatform.service import Service
from jobplatform.settings import Settings
from jobplatform.store.database import Database


class Upkeep:
    """The services that keep the tables small."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self.retention = retention_of(database, settings)

    def services(self) -> list[Service]:
        """List the services that only the leader runs."""
        return [self.retention]

    def close(self) -> None:
        """Close what is open."""
        self.retention.close()


def retention_of(database: Database, settings: Settings) -> Retention:
    """Put together what deletes jobs whose time is over, as the settings say."""
    files = JobFiles(Path(settings.export_dir)) if settings.export_dir else None
    return Retention(database, Keeping(settings.keep_days, settings.keep_types), files)
