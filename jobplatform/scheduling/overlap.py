"""What becomes of a time at which the jobs before have not ended: a pure function of the policy and what there is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from jobplatform.jobs.schedule import Overlap


@dataclass(frozen=True, slots=True)
class Unfinished:
    """The jobs of a schedule that have not ended, by id, the oldest fire first; and those of them that only wait."""

    job_ids: tuple[str, ...] = ()
    buffered: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fire:
    """A time to fire at, and the job whose end is waited for."""

    at: datetime
    after: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What is fired, and which jobs are cancelled before."""

    fires: tuple[Fire, ...]
    cancel: tuple[str, ...] = ()


def decide(
    overlap: Overlap, times: Sequence[datetime], before: Unfinished, id_of: Callable[[datetime], str]
) -> Decision:
    """Decide which of some times a schedule fires at.

    :param times: earliest first.
    :param id_of: gives the id of the job that a time becomes.
    """
    if not times or overlap is Overlap.ALLOW_ALL:
        return Decision(tuple(map(Fire, times)))
    if overlap is Overlap.SKIP:
        return Decision(() if before.job_ids else (Fire(times[0]),))
    if overlap in (Overlap.CANCEL_OTHER, Overlap.TERMINATE_OTHER):
        # Each time cancels what the one before it began, so the last is left.
        return Decision((Fire(times[-1]),), before.job_ids)
    chain = _chain(times, before, id_of)
    if overlap is Overlap.BUFFER_ALL:
        return Decision(chain)
    room = 1 - len(before.buffered) + (not before.job_ids)
    return Decision(chain[: max(0, room)])


def _chain(times: Sequence[datetime], before: Unfinished, id_of: Callable[[datetime], str]) -> tuple[Fire, ...]:
    """Let each time wait for the job before it."""
    last = before.job_ids[-1] if before.job_ids else None
    fires = []
    for at in times:
        fires.append(Fire(at, last))
        last = id_of(at)
    return tuple(fires)
