"""What becomes of times that nobody was there to fire at: pure functions of a recurrence and two moments."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from jobplatform.jobs.schedule import Misfire
from jobplatform.recurrence import Recurrence, between, latest

#: Times that one plan fires at; what is left is due at once, and planned next.
MOST = 1_000
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Rule:
    """A policy for missed times.

    :param grace: a time that is late by no more is fired whatever the policy says.
    :param window: how far back ``window`` goes.
    :param cap: at how many missed times ``window`` fires at the most, the latest ones.
    """

    policy: Misfire = Misfire.ONCE
    grace: timedelta = timedelta(seconds=60)
    window: timedelta = timedelta(hours=1)
    cap: int = 100


@dataclass(frozen=True, slots=True)
class Plan:
    """The times to fire at, earliest first, and the time to plan again for, None when it never fires again."""

    fires: tuple[datetime, ...]
    next_run: datetime | None


def plan(recurrence: Recurrence, due: datetime, now: datetime, rule: Rule) -> Plan:
    """Decide what a schedule that is due fires at.

    :param due: the first time that was not planned yet; it is not after ``now``.
    """
    punctual = max(due, now - rule.grace)
    late = _made_up_for(recurrence, due, punctual - _TICK, rule)
    fires = [*late, *between(recurrence, punctual, now, MOST)][: MOST + 1]
    if len(fires) > MOST:
        return Plan(tuple(fires[:MOST]), fires[MOST])
    return Plan(tuple(fires), next(recurrence.after(now), None))


def _made_up_for(recurrence: Recurrence, due: datetime, end: datetime, rule: Rule) -> list[datetime]:
    """Give the missed times from ``due`` to ``end`` that are fired all the same."""
    if end < due or rule.policy is Misfire.SKIP:
        return []
    if rule.policy is Misfire.ALL:
        return between(recurrence, due, end, MOST + 1)
    if rule.policy is Misfire.ONCE:
        return latest(recurrence, due, end, 1)
    return latest(recurrence, max(due, end - rule.window), end, rule.cap)
