"""Workers that a home starts and ends by itself, once it knows how many there are to be."""

from __future__ import annotations

from collections.abc import Sequence

from jobplatform.workers.fleet import Member, Stage
from jobplatform.workers.roll import Roll


class PublishedFleet:
    """All workers that were heard; one that leaves is started anew by its home, so a replacement is to drain."""

    starts_members = False

    def __init__(self, pool: str, roll: Roll) -> None:
        self.pool = pool
        self.roll = roll

    def members(self) -> Sequence[Member]:
        """List the workers that are heard; whether the process of a silent one lives cannot be told from here."""
        return [member for member in self.roll.members() if member.stage is not Stage.SILENT]

    def publish(self, wanted: int) -> None:
        """Do nothing more: the wish is read by whoever asks for it."""

    def spawn(self, besides: Sequence[Member]) -> str | None:
        """Do nothing: the home starts workers."""
        return None

    def retire(self, member: Member) -> None:
        """Do nothing: a worker that was asked to drain leaves by itself."""

    def halt(self, member: Member) -> None:
        """Do nothing: its processes are out of reach."""

    def kill(self, member: Member) -> None:
        """Do nothing: its processes are out of reach, and its home looks after them."""

    def close(self) -> None:
        """Do nothing: the workers are not ours."""
