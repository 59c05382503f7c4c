"""Settings of the fleet of workers."""

from __future__ import annotations

import re
from dataclasses import dataclass

from jobplatform.errors import SettingsError
from jobplatform.settings.setting import one_of, setting

_POOL = re.compile(r"^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$")


@dataclass(frozen=True)
class Fleet:
    """Where workers live that the controller keeps at their number, and when one is replaced."""

    __slots__ = ()

    fleet: str = setting(
        "JOBPLATFORM_FLEET",
        "off",
        one_of("local", "procfile", "kubernetes", "off"),
        "Where workers live that the controller keeps at their number: `local` as its own processes on this machine, "
        "`procfile` by a formation file, `kubernetes` by publishing the wish; `off` leaves workers to others.",
    )
    fleet_min: int = setting("JOBPLATFORM_FLEET_MIN", 2, int, "Workers that a fleet has at least.", 0)
    fleet_max: int = setting("JOBPLATFORM_FLEET_MAX", 5, int, "Workers that a fleet has at most.", 1)
    fleet_pool: str = setting(
        "JOBPLATFORM_FLEET_POOL",
        "worker",
        str,
        "The name of the fleet: that of its workers, followed by a number, of the process in a Procfile, and of the "
        "deployment in Kubernetes.",
    )
    fleet_app: str = setting(
        "JOBPLATFORM_FLEET_APP",
        "jobplatform",
        str,
        "The Celery application of a local worker, as `celery -A` takes it.",
    )
    fleet_options: str = setting(
        "JOBPLATFORM_FLEET_OPTIONS",
        "-c 2 -l INFO --without-mingle --without-gossip",
        str,
        "What follows `celery worker` for a local worker.",
    )
    fleet_fork: str = setting(
        "JOBPLATFORM_FLEET_FORK",
        "on",
        one_of("on", "off"),
        "`on` starts local workers as forks of a process that has imported the application, in a fifth of the time.",
    )
    fleet_at_exit: str = setting(
        "JOBPLATFORM_FLEET_AT_EXIT",
        "stay",
        one_of("stay", "drain"),
        "What local workers do when their controller ends: `stay`, and the next one finds them; or `drain`.",
    )
    fleet_file: str = setting(
        "JOBPLATFORM_FLEET_FILE", "formation", str, "The file of a `procfile` fleet, which gets a line as `worker=3`."
    )
    fleet_start_seconds: float = setting(
        "JOBPLATFORM_FLEET_START_SECONDS",
        60.0,
        float,
        "Seconds that a worker has to take jobs after it was started.",
        1,
    )
    replace: str = setting(
        "JOBPLATFORM_REPLACE",
        "on",
        one_of("on", "off"),
        "`on` replaces workers of the fleet that are failing or stand still; `off` does so only when asked by hand.",
    )
    replace_seconds: float = setting(
        "JOBPLATFORM_REPLACE_SECONDS",
        600.0,
        float,
        "Seconds between the beginnings of two replacements of workers that are failing, at least.",
        0,
    )
    worker_memory: int = setting(
        "JOBPLATFORM_WORKER_MEMORY",
        0,
        int,
        "Bytes that a worker with its processes may take before something kills it; of its control group and of the "
        "machine it knows by itself, so 0 is right in a container.",
        0,
    )
    health_model: str = setting(
        "JOBPLATFORM_HEALTH_MODEL",
        "auto",
        one_of("auto", "shadow", "off"),
        "Who judges workers: `auto` lets a model add to the rules once it has beaten them, `shadow` lets it only say "
        "what it would do, `off` trains none.",
    )
    health_train_seconds: float = setting(
        "JOBPLATFORM_HEALTH_TRAIN_SECONDS", 3600.0, float, "Seconds between two trainings of it, at least.", 0
    )


def check_fleet(fleet: Fleet) -> None:
    """Refuse a fleet that cannot be.

    :raises SettingsError: naming the variable.
    """
    if fleet.fleet_max < fleet.fleet_min:
        raise SettingsError(
            f"JOBPLATFORM_FLEET_MAX: {fleet.fleet_max} is below JOBPLATFORM_FLEET_MIN, {fleet.fleet_min}; raise it"
        )
    if not _POOL.match(fleet.fleet_pool):
        raise SettingsError(
            f"JOBPLATFORM_FLEET_POOL: {fleet.fleet_pool!r} is no name that Kubernetes takes as well; "
            "use lower-case letters, digits and dashes, at most 40, and begin with a letter"
        )
