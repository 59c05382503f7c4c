"""What to do for a fleet to have as many workers as were wished for, so that none that is busy ever ends."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from jobplatform.transport.duty import Duty
from jobplatform.workers.fleet import BY, Member, Stage


@dataclass(frozen=True, slots=True)
class Steps:
    """What to do next: so many to start; whom to cordon, to let work again, and to let leave."""

    spawn: int = 0
    cordon: tuple[Member, ...] = ()
    uncordon: tuple[Member, ...] = ()
    retire: tuple[Member, ...] = ()


def steps(members: Sequence[Member], wanted: int, replaced: Collection[str] = ()) -> Steps:
    """Decide what brings a fleet nearer to its number.

    A worker that is one too many takes no more first, and leaves when it runs nothing; if more are wished for before it
    has left, it works again.

    :param replaced: the nodes of members that others take the place of, which are none of our business.
    """
    ours = [member for member in members if member.worker_id not in replaced or not member.worker_id]
    counted = [member for member in ours if member.counts]
    cordoned = [member for member in ours if is_cordoned_by_us(member)]
    missing = wanted - len(counted)
    if missing > 0:
        uncordon = sorted(cordoned, key=_how_soon_idle, reverse=True)[:missing]
        rest = [member for member in cordoned if member not in uncordon]
        return Steps(missing - len(uncordon), uncordon=tuple(uncordon), retire=_idle(rest))
    working = sorted((member for member in counted if member.takes), key=_how_soon_idle)
    return Steps(cordon=tuple(working[:-missing]) if missing else (), retire=_idle(cordoned))


def is_cordoned_by_us(member: Member) -> bool:
    """Tell whether a member is cordoned as it is one too many, and not by somebody for a reason of theirs."""
    leaves = member.stage in (Stage.LEAVING, Stage.SILENT)
    return member.asked is Duty.CORDON and member.asked_by == BY and not leaves


def _how_soon_idle(member: Member) -> tuple[int, float]:
    """Give what to sort by: those that hold little first, and the youngest of them, which know least."""
    return member.busy, -member.started_at


def _idle(cordoned: Collection[Member]) -> tuple[Member, ...]:
    """Choose those that have heard that they are to take no more, and hold nothing."""
    return tuple(member for member in cordoned if member.stage is Stage.CORDONED and not member.busy)
