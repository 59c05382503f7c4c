"""How many workers there should be: decided purely, from what is foretold and from what there is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from jobplatform.learning.load import Outlook

#: From these chances on that jobs will wait, a pool is said to fill up.
_WARNING, _CRITICAL = 0.25, 0.6
#: No smaller and no larger share of times is aimed at.
_LEVELS = (0.5, 0.98)
#: What is announced is to begin within this share of the time that it may wait, as it may run longer than before.
_SHARE = 0.9


class Level(StrEnum):
    """How near a pool is to letting jobs wait for longer than they may."""

    NORMAL = "normal"
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Bounds:
    """What an operator allows.

    :param least: workers, always.
    :param slots: jobs that a worker runs at once.
    :param cooldown: seconds after workers were asked for in which none is let go.
    :param slo: seconds that a job may wait.
    """

    least: int = 1
    most: int = 10
    slots: int = 1
    cooldown: float = 60.0
    slo: float = 30.0

    def workers(self, jobs: float) -> int:
        """Give how many workers it takes to run so many jobs at once, within the bounds."""
        return max(self.least, min(self.most, math.ceil(jobs / self.slots - 1e-9)))


class Announced(NamedTuple):
    """Jobs that are known to come: how many, how long each runs, and what says so."""

    jobs: float
    seconds: float
    words: str

    def places(self, slo: float) -> float:
        """Give how many must run at once if they come together and none may wait for longer than allowed.

        Each place ends a job every ``seconds``; so many of them begin in time.
        """
        return self.jobs / (1.0 + math.floor(_SHARE * slo / max(self.seconds, 1e-3)))


class Pool(NamedTuple):
    """What there is.

    :param had: workers, also those that start.
    :param running: jobs.
    :param waiting: jobs that wait.
    :param oldest: for how many seconds the first of these has.
    :param since_grown: seconds since workers were asked for; infinity if never.
    """

    had: int
    running: int
    waiting: int
    oldest: float
    since_grown: float


class Decision(NamedTuple):
    """How many workers there should be, and why."""

    wanted: int
    level: Level
    probability: float
    reason: str
    counterfactual: str
    by: str


def decide(
    bounds: Bounds, outlook: Outlook, pool: Pool, probability: float, announced: Sequence[Announced] = ()
) -> Decision:
    """Ask for what will be needed once it is up, and let go what will not be needed until then.

    What lies between the two is left as it is, so that a forecast that wavers moves nothing.

    :param probability: that more will be needed than there is.
    """
    coming = sum(each.places(bounds.slo) for each in announced)
    low = bounds.workers(max(outlook.later, outlook.usual + coming if announced else 0.0))
    high = max(low, bounds.workers(max(outlook.kept, pool.running)))
    held = pool.had > high and pool.since_grown < bounds.cooldown
    wanted = max(low, min(pool.had, pool.had if held else high))
    rule = bounds.workers(max(outlook.rule, pool.running))
    level = level_of(bounds, pool, probability)
    return Decision(
        max(bounds.least, min(bounds.most, wanted)), level, probability,
        _reason(bounds, outlook, pool, wanted, announced, held), _counterfactual(bounds, rule, wanted, outlook),
        outlook.by,
    )  # fmt: skip


def hold(decision: Decision, had: int, holder: str) -> Decision:
    """Leave it at what somebody has asked for, and say what would have been decided."""
    noted = f"held by {holder} at {had}; else it were {decision.wanted}: {decision.reason}"
    return decision._replace(wanted=had, reason=noted)


def level_for(late_cost: float, seconds: float) -> float:
    """Give the share of times in which there should be enough workers.

    A place that is needed for a share of the time spares so many jobs of ``seconds`` a wait; it is worth having while
    these cost more than it does (the newsvendor's rule: K. Arrow et al., "Optimal Inventory Policy", 1951).

    :param late_cost: what a job costs that waits for too long, in hours of a place.
    """
    if late_cost <= 0.0:
        return _LEVELS[0]
    return max(_LEVELS[0], min(_LEVELS[1], 1.0 - seconds / 3600.0 / late_cost))


def level_of(bounds: Bounds, pool: Pool, probability: float) -> Level:
    """Tell how near a pool is to letting jobs wait for too long."""
    if pool.oldest > bounds.slo or probability >= _CRITICAL:
        return Level.CRITICAL
    return Level.WARNING if probability >= _WARNING else Level.NORMAL


def _reason(
    bounds: Bounds, outlook: Outlook, pool: Pool, wanted: int, announced: Sequence[Announced], held: bool
) -> str:
    now = f"{pool.running} run and {pool.waiting} wait now"
    if wanted > pool.had:
        needed = f"up to {outlook.later:.0f} jobs at once are expected by the time that they are up; {now}"
        if announced and outlook.usual + sum(each.places(bounds.slo) for each in announced) > outlook.later:
            needed = f"{'; '.join(each.words for each in announced)}; {now}"
        words = f"{_workers(wanted - pool.had)} more: {needed}"
    elif wanted < pool.had:
        words = f"{_workers(pool.had - wanted)} fewer: at most {outlook.kept:.0f} jobs at once are expected; {now}"
    elif held:
        words = f"{_workers(wanted)} as before: the last was asked for {pool.since_grown:.0f} s ago; {now}"
    else:
        words = f"{_workers(wanted)} as before: {outlook.later:.0f} to {outlook.kept:.0f} jobs at once may come; {now}"
    if wanted == bounds.most and bounds.slots * wanted < outlook.later:
        words += f"; more than {bounds.most} are not allowed"
    return f"{words}. {outlook.why}".rstrip()


def _counterfactual(bounds: Bounds, rule: int, wanted: int, outlook: Outlook) -> str:
    if outlook.by == "rule":
        return "the rate rule decided"
    same = " as well" if rule == wanted else ""
    return f"the rate rule would have wanted {rule}{same}"


def _workers(count: int) -> str:
    return f"{count} worker{'' if count == 1 else 's'}"
