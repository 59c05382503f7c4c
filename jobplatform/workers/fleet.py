"""What a fleet is, whoever runs its workers: its members, and what can be asked of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from jobplatform.transport.duty import Duty

#: Who asks for what no person and no other part asked for.
BY = "fleet"


class Stage(StrEnum):
    """Where a worker is between its start and its end."""

    STARTING = "starting"
    WORKING = "working"
    CORDONED = "cordoned"
    LEAVING = "leaving"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class Member:
    """A worker of a fleet, as it was seen last.

    :ivar worker_id: its node; "" while it has not been heard.
    :ivar busy: the messages that it holds.
    :ivar started_at: seconds since the epoch.
    :ivar silent: seconds since it was heard.
    :ivar loop_wait: seconds for which its event loop has not turned, as it says itself.
    :ivar stopped: whether its process is stopped, as by SIGSTOP.
    :ivar asked: what it is to do, and by whom.
    """

    name: str
    stage: Stage
    pid: int | None = None
    worker_id: str = ""
    busy: int = 0
    started_at: float = 0.0
    silent: float = 0.0
    loop_wait: float = 0.0
    stopped: bool = False
    asked: Duty = Duty.WORK
    asked_by: str = ""

    @property
    def takes(self) -> bool:
        """Whether it takes jobs, and is to go on doing so."""
        return self.stage is Stage.WORKING and self.asked is Duty.WORK

    @property
    def counts(self) -> bool:
        """Whether it is one of those that were wished for, be it as soon as it has heard that it is to work."""
        heeds = self.stage in (Stage.WORKING, Stage.CORDONED) and self.asked is Duty.WORK
        return heeds or self.stage is Stage.STARTING

    def heard(self, watched: float, stale: float) -> Member:
        """Give what is known of it by who has listened for so many seconds: it has not been silent for longer.

        :param stale: seconds after which a silent worker counts as dead.
        """
        silent = min(self.silent, watched)
        known = self.stage is not Stage.SILENT or silent > stale
        return replace(self, silent=silent, stage=self.stage if known else Stage.WORKING)


class Fleet(Protocol):
    """Workers with one home: processes of a machine, a formation, a deployment.

    :ivar pool: its name.
    :ivar starts_members: whether it starts and ends single workers; else its home does, once it knows their number.
    """

    pool: str
    starts_members: bool

    def members(self) -> Sequence[Member]:
        """List the workers that live, and those that are starting."""
        ...

    def publish(self, wanted: int) -> None:
        """Tell the home how many workers to run, where it is the one that starts and ends them."""
        ...

    def spawn(self, besides: Sequence[Member]) -> str | None:
        """Start a worker and return its name, None when it is too soon after one that did not start.

        :param besides: the members that were seen.
        """
        ...

    def retire(self, member: Member) -> None:
        """Let a member leave as SIGTERM does, which interrupts nothing that it runs."""
        ...

    def halt(self, member: Member) -> None:
        """Let no process of a member run on, before its jobs are given to others."""
        ...

    def kill(self, member: Member) -> None:
        """End all processes of a member."""
        ...

    def close(self) -> None:
        """Let go of the members; where the settings say so they leave."""
        ...
