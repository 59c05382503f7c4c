"""Ways to choose the number of workers in simulated time: by the rate rule, by a model, and by the future."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from math import ceil, inf
from typing import TYPE_CHECKING

from jobplatform.learning.forecaster import Forecaster
from jobplatform.workers.scaling import Bounds, Pool, decide, level_for
from jobplatform.workers.simulation import Arrival, Moment, Site

if TYPE_CHECKING:
    from jobplatform.learning.demand import Demand
    from jobplatform.learning.view import Ahead

_QUEUE = "queue"


class ByRate:
    """Want what the rate rule says.

    :param times: as a part of what it says.
    """

    def __init__(self, bounds: Bounds, ahead: Ahead, times: float = 1.0) -> None:
        self.bounds = bounds
        self.times = times
        self.forecaster = Forecaster(ahead, ahead.interval)

    def __call__(self, moment: Moment) -> int:
        """Answer from what came until now."""
        self.forecaster.note(_QUEUE, [moment.sample])
        return self.bounds.workers(self.forecaster.rule() * self.times)


class ByForecast:
    """Want what the product's scaler would, with a model or, without one, by the rate rule.

    :param late_cost: what a job costs that waits for too long, in hours of a place.
    """

    def __init__(self, bounds: Bounds, ahead: Ahead, late_cost: float, model: Demand | None) -> None:
        self.bounds = bounds
        self.late_cost = late_cost
        self.model = model
        self.forecaster = Forecaster(ahead, ahead.interval)
        self._grown = -inf
        #: How often the model decided, and how often the rule did.
        self.decided = {"model": 0, "rule": 0}

    def __call__(self, moment: Moment) -> int:
        """Answer from what came until now."""
        sample = moment.sample
        self.forecaster.note(_QUEUE, [sample])
        level = level_for(self.late_cost, self.forecaster.seconds())
        outlook, chances, _ = self.forecaster.outlook(self.model, "model", level)
        self.decided[outlook.by] += 1
        chance = self.forecaster.chance_above(chances, moment.had * self.bounds.slots)
        pool = Pool(moment.had, sample.running, sample.depth, sample.oldest, sample.at - self._grown)
        wanted = decide(self.bounds, outlook, pool, chance).wanted
        if wanted > moment.had:
            self._grown = sample.at
        return wanted


class Foreseen:
    """Want what is known to be needed from now on until a worker that is asked for now is the newest: the bound.

    :param arrivals: all that will come.
    :param gap: seconds between the times that are looked at.
    """

    def __init__(self, bounds: Bounds, site: Site, arrivals: Sequence[Arrival], gap: float = 10.0) -> None:
        self.bounds = bounds
        self.gap = gap
        self._begin = arrivals[0].at
        self._reach = ceil((site.start_seconds + site.interval) / gap)
        came = [each.at for each in arrivals]
        ended = sorted(each.at + each.seconds for each in arrivals)
        times = (self._begin + number * gap for number in range(int((ended[-1] - self._begin) / gap) + 1))
        self._present = [bisect_right(came, at) - bisect_right(ended, at) for at in times]

    def __call__(self, moment: Moment) -> int:
        """Answer from what will come."""
        place = int((moment.sample.at - self._begin) / self.gap)
        return self.bounds.workers(max(self._present[place : place + self._reach + 1], default=0))
