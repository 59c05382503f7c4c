"""The fleet that the settings ask for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from jobplatform.settings import Settings
from jobplatform.store.database import Database
from jobplatform.workers.fleet import Fleet
from jobplatform.workers.keeper import FleetKeeper
from jobplatform.workers.kubernetes_fleet import KubernetesFleet
from jobplatform.workers.local_fleet import LocalFleet
from jobplatform.workers.procfile_fleet import ProcfileFleet
from jobplatform.workers.roll import Roll
from jobplatform.workers.starter import Starter

#: What a worker takes to leave beyond the time that its running jobs have.
_LEAVING_SECONDS = 5.0


def fleet_of(settings: Settings, database: Database, client: Any) -> Fleet | None:
    """Make the fleet of the settings, None where workers are left to others.

    :param client: a Redis client.
    """
    roll = Roll(database, client, settings.stale_seconds)
    if settings.fleet == "local":
        starter = Starter.of(settings, os.environ)
        leave = settings.drain_seconds + _LEAVING_SECONDS
        start = settings.fleet_start_seconds
        return LocalFleet(settings.fleet_pool, roll, starter, start_seconds=start, leave_seconds=leave)
    if settings.fleet == "procfile":
        return ProcfileFleet(settings.fleet_pool, roll, Path(settings.fleet_file))
    if settings.fleet == "kubernetes":
        return KubernetesFleet(settings.fleet_pool, roll)
    return None


def keeper_of(settings: Settings, database: Database, client: Any) -> FleetKeeper | None:
    """Make the service that keeps the fleet of the settings, None where there is none.

    :param client: a Redis client.
    """
    fleet = fleet_of(settings, database, client)
    return FleetKeeper(database, client, fleet, settings) if fleet else None
