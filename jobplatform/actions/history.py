"""How much went through queues, how much waited, and for how long, over the last hours or days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from jobplatform.actions.action import action
from jobplatform.actions.actor import Actor
from jobplatform.actions.desk import Desk
from jobplatform.actions.permission import Permission
from jobplatform.errors import JobOptionError
from jobplatform.store import queue_history

#: How far back, and in which steps, in seconds.
RANGES: Mapping[str, tuple[float, float]] = {
    "1h": (3_600.0, 60.0),
    "6h": (21_600.0, 300.0),
    "24h": (86_400.0, 900.0),
    "7d": (604_800.0, 7_200.0),
}


class Step(NamedTuple):
    """What was so in a step; None where there is no sample.

    :param arrived: jobs a second, as are ``finished``.
    :param waiting: the mean, as is ``running``.
    :param oldest: the longest that a job had waited, in seconds.
    """

    at: datetime
    arrived: float | None = None
    finished: float | None = None
    waiting: float | None = None
    running: float | None = None
    oldest: float | None = None


class Depths(NamedTuple):
    """How many jobs waited in each queue at each time; None where there is no sample."""

    times: Sequence[datetime]
    queues: Mapping[str, Sequence[float | None]]


@action("history.queues", Permission.QUEUES_READ)
def of_queues(desk: Desk, actor: Actor, back: str, queue: str | None = None) -> Sequence[Step]:
    """Tell what went through queues, in equal steps, the oldest first.

    :param back: one of ``RANGES``.
    :param queue: this one alone.
    :raises JobOptionError: when it is another range.
    """
    since, until, step, times = _span(desk, back)
    narrowed = actor.scope.narrowed(None if queue is None else [queue], None)
    # How long queues are tells nothing of a tenant alone.
    if narrowed.tenants is not None:
        return []
    with desk.look() as session:
        rows = queue_history.binned(session, since, until, step, narrowed.queues)
    found = {row["at"]: row for row in rows}
    return [_step(at, found.get(at)) for at in times]


@action("history.depths", Permission.QUEUES_READ)
def of_depths(desk: Desk, actor: Actor, back: str = "1h") -> Depths:
    """Tell how many jobs waited in each queue, in equal steps, the oldest first.

    :param back: one of ``RANGES``.
    :raises JobOptionError: when it is another range.
    """
    since, until, step, times = _span(desk, back)
    if actor.scope.tenants is not None:
        return Depths(times, {})
    with desk.look() as session:
        rows = queue_history.depths(session, since, until, step, actor.scope.queues)
    found: dict[str, dict[datetime, float]] = {}
    for row in rows:
        found.setdefault(row["queue"], {})[row["at"]] = row["depth"]
    return Depths(times, {queue: [known.get(at) for at in times] for queue, known in found.items()})


def _span(desk: Desk, back: str) -> tuple[datetime, datetime, float, list[datetime]]:
    """Give when a range begins and ends, its step in seconds, and when each step begins."""
    if back not in RANGES:
        raise JobOptionError(f"range: {back[:20]!r} is none; choose one of {', '.join(RANGES)}")
    span, step = RANGES[back]
    until = desk.now()
    since = until - timedelta(seconds=span)
    return since, until, step, [since + timedelta(seconds=step * number) for number in range(round(span / step))]


def _step(at: datetime, row: Mapping[str, float] | None) -> Step:
    if row is None or not row["seconds"]:
        return Step(at)
    seconds = row["seconds"]
    return Step(
        at, row["arrived"] / seconds, row["finished"] / seconds, row["depth"], row["running"], row["oldest"] or 0.0
    )
