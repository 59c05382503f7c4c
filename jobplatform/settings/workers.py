"""Settings of workers."""

from __future__ import annotations

from dataclasses import dataclass

from jobplatform.errors import SettingsError
from jobplatform.settings.setting import setting

#: A worker that was not heard for so many heartbeats is stale.
STALE_BEATS = 3


@dataclass(frozen=True)
class Workers:
    """What workers run, how they say that they live, and how they leave."""

    __slots__ = ()

    release: str = setting(
        "JOBPLATFORM_RELEASE", "", str, "What version of the code a worker runs; clusters of errors list it."
    )
    lease_seconds: float = setting(
        "JOBPLATFORM_LEASE_SECONDS",
        60.0,
        float,
        "Seconds after which workers take the jobs of one that says nothing more, should no controller have done so.",
        2,
    )
    heartbeat_seconds: float = setting(
        "JOBPLATFORM_HEARTBEAT_SECONDS",
        5.0,
        float,
        "Seconds between the signs of life of a worker; after three without one its jobs are rescued.",
        0.1,
    )
    commit_seconds: float = setting(
        "JOBPLATFORM_COMMIT_SECONDS",
        0.01,
        float,
        "Seconds that a worker's news may wait for more to be written with.",
        0,
    )
    idle_poll_seconds: float = setting(
        "JOBPLATFORM_IDLE_POLL_SECONDS",
        0.5,
        float,
        "Seconds after which an idle worker looks for messages of publishers that ring no bell.",
        0.05,
    )
    journal_limit: int = setting(
        "JOBPLATFORM_JOURNAL_LIMIT",
        100_000,
        int,
        "Commits that the journal may hold before workers stop taking work.",
        100,
    )
    stop_seconds: float = setting(
        "JOBPLATFORM_STOP_SECONDS",
        10.0,
        float,
        "Seconds that a running job has to stop when it is cancelled or was given to another worker; then its process "
        "is killed, where it has one of its own.",
        0,
    )
    drain_seconds: float = setting(
        "JOBPLATFORM_DRAIN_SECONDS",
        25.0,
        float,
        "Seconds that running jobs have to end when their worker is drained or gets SIGTERM; then they are interrupted "
        "and begin again elsewhere, with no retry used up. Keep it below the time after which your deploy system kills "
        "(Kubernetes 30 s, Docker 10 s, systemd 90 s); `inf` waits for as long as it takes, as Celery does.",
        0,
    )

    @property
    def stale_seconds(self) -> float:
        """After how many seconds of silence a worker is taken for dead."""
        return STALE_BEATS * self.heartbeat_seconds


def check_workers(workers: Workers) -> None:
    """Refuse leases that end while their worker still counts as alive.

    :raises SettingsError: naming the variable.
    """
    if workers.lease_seconds < workers.stale_seconds:
        raise SettingsError(
            f"JOBPLATFORM_LEASE_SECONDS: {workers.lease_seconds:g} is shorter than three heartbeats "
            f"({workers.stale_seconds:g} s); raise it, or lower JOBPLATFORM_HEARTBEAT_SECONDS"
        )
