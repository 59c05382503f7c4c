"""What is done so that the platform stays in order for years, put together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jobplatform.maintenance.alerter import Alerter, Target
from jobplatform.maintenance.audit_pruner import AuditPruner
from jobplatform.maintenance.conditions import Thresholds
from jobplatform.maintenance.job_files import JobFiles
from jobplatform.maintenance.keeping import Keeping
from jobplatform.maintenance.lookout import Lookout
from jobplatform.maintenance.mail import Mail
from jobplatform.maintenance.outcry import Outcry
from jobplatform.maintenance.retention import Retention
from jobplatform.maintenance.webhook import Webhook
from jobplatform.service import Service
from jobplatform.settings import Settings
from jobplatform.store import leadership
from jobplatform.store.database import Database
from jobplatform.transport.publisher import UNREACHABLE


class Upkeep:
    """The services that keep the tables small, and tell people what is wrong.

    :param client: a Redis client.
    :raises TargetRefused: when the settings name somebody who may not be told.
    """

    def __init__(self, database: Database, client: Any, settings: Settings) -> None:
        self.database = database
        self.retention = retention_of(database, settings)
        self.targets = targets_of(settings)
        self.repeat = settings.alert_repeat_seconds
        limits = thresholds_of(settings)
        look = Lookout(database, client, settings, limits, UNREACHABLE).look
        self.alerter = Alerter(database, look, limits, self.targets, self.repeat)

    def services(self) -> list[Service]:
        """List the services that only the leader runs."""
        return [self.retention, self.alerter]

    def outcry(self) -> Service:
        """Give the service that every controller runs."""
        return Outcry(lambda: self.database.once(leadership.probe), self.targets, self.repeat)

    def close(self) -> None:
        """Close what is open."""
        self.retention.close()


def retention_of(database: Database, settings: Settings) -> Retention:
    """Put together what deletes jobs whose time is over, as the settings say."""
    files = JobFiles(Path(settings.export_dir)) if settings.export_dir else None
    return Retention(database, Keeping(settings.keep_days, settings.keep_types), files)


def audit_pruner_of(database: Database, settings: Settings) -> AuditPruner:
    """Put together what moves old rows of the audit log into files, as the settings say; no controller runs it."""
    files = JobFiles(Path(settings.export_dir), "audit") if settings.export_dir else None
    return AuditPruner(database, settings.audit_days, files)


def targets_of(settings: Settings) -> list[Target]:
    """Name who is told of alerts, as the settings say.

    :raises TargetRefused: when somebody may not be told.
    """
    targets: list[Target] = [
        Webhook(url, settings.alert_hosts, settings.alert_networks, settings.alert_secret)
        for url in settings.alert_webhooks
    ]
    if settings.alert_smtp and settings.alert_mail:
        targets.append(Mail(settings.alert_smtp, settings.alert_mail[0], settings.alert_mail))
    return targets


def thresholds_of(settings: Settings) -> Thresholds:
    """Say from when on something is an alert, as the settings say."""
    return Thresholds(
        letters=settings.alert_letters,
        wait=settings.alert_wait_seconds,
        late=settings.alert_late_seconds,
        journal=settings.journal_limit,
    )
