"""What queues held and how fast they moved, from sample to sample, and what they will need."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

#: The 9th decile lies at least so far above the median, as a factor, and no time is told apart beyond so many medians.
LEAST_SPREAD, MOST_MEDIANS = 1.05, 1e6


class Sample(NamedTuple):
    """What happened on a queue in some seconds until a moment, and what there was then.

    :param at: the moment, in seconds since the epoch.
    :param seconds: since the sample before.
    :param depth: jobs that wait.
    :param running: jobs that run.
    :param oldest: for how many seconds the first of those that wait has done so.
    :param coming: jobs that schedules, times and retries are known to bring until a worker that is asked for now is up;
        None where nobody knows.
    :param leaving: how many of the running jobs are foretold to have ended by then; None where nobody knows.
    """

    at: float
    seconds: float
    depth: int
    arrived: int
    started: int
    finished: int
    running: int
    oldest: float = 0.0
    coming: float | None = None
    leaving: float | None = None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Sample:
        """Take it from a row that has its values by name."""
        return cls(**{name: row[name] for name in cls._fields})

    @property
    def present(self) -> int:
        """Jobs that run or wait."""
        return self.running + self.depth


def chance_of_end(ran: float, more: float, median: float, most: float) -> float:
    """Give the chance that a job which has run for some seconds ends within some more.

    How long it runs is taken to be log-logistic (P. Fisk, "The Graduation of Income Distributions", Econometrica 29,
    1961), of which both quantiles are known and the chance has a closed form.

    :param median: seconds that it was foretold to run; ``most``: those that nine of ten such jobs do not exceed.
    """
    median = max(1.0, median)
    shape = math.log(9.0) / math.log(max(LEAST_SPREAD, most / median))
    now, then = (min(seconds / median, MOST_MEDIANS) ** shape for seconds in (ran, ran + more))
    return float(1.0 - (1.0 + now) / (1.0 + then))


class Outlook(NamedTuple):
    """What is foretold, in jobs at once.

    :param later: needed once a worker that is asked for now is up, and for some time on.
    :param kept: needed from now on until then.
    :param usual: expected from now on until then, at its median.
    :param rule: what the rate rule says.
    :param by: who foretells, such as ``model 7`` or ``rule``.
    :param why: why it is the rule that does; empty if it does not.
    """

    later: float
    kept: float
    usual: float
    rule: float
    by: str
    why: str = ""
