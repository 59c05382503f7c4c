"""What is foretold of a pool: of each of its queues, and of them together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from jobplatform.learning.correction import Correction, corrected
from jobplatform.learning.demand import LEVELS, Demand, at_level, chance_above
from jobplatform.learning.load import Outlook, Sample
from jobplatform.learning.rate_rule import rate_rule
from jobplatform.learning.scores import Floats
from jobplatform.learning.trail import Trail
from jobplatform.learning.view import Ahead, View

#: A queue of which less is known is left to the rule.
_LEAST_SECONDS = 3_600.0
_HOUR, _DAY = 3_600.0, 86_400.0
_MEDIAN = 0
#: By so much of what is left to certainty the level is higher at which workers are kept.
_KEPT = 0.25


class Usual(NamedTuple):
    """What a queue usually does: jobs that arrive a second, and seconds that each runs."""

    arrivals: float
    seconds: float


class Foretold(NamedTuple):
    """What is foretold of one queue, by the model and by the rule, in jobs at once; quantiles by level."""

    later: Floats
    kept: Floats
    rule: float


@dataclass(slots=True)
class _Queue:
    trail: Trail
    correction: Correction


class Forecaster:
    """Follow the queues of a pool, and foretell what they will need.

    :param ahead: which time is foretold.
    :param step: seconds between samples.
    """

    def __init__(self, ahead: Ahead, step: float) -> None:
        self.view = View(ahead, step)
        self._queues: dict[str, _Queue] = {}

    def note(self, queue: str, samples: Iterable[Sample]) -> None:
        """Add what happened on a queue, the oldest first."""
        found = self._queues.get(queue)
        if found is None:
            found = self._queues[queue] = _Queue(Trail(self.view.step), Correction(self.view))
        for sample in samples:
            found.trail.append(sample)
        found.correction.settle(found.trail)

    def usual(self, queue: str) -> Usual:
        """Tell what a queue did in the last hour; of one that is not known, nothing."""
        found = self._queues.get(queue)
        if found is None or not len(found.trail):
            return Usual(0.0, 1.0)
        row = np.array([len(found.trail) - 1])
        sums = found.trail.sums(row, max(1, round(_HOUR / self.view.step)))[0]
        return Usual(float(sums[0] / sums[3] / self.view.step), float(found.trail.service(row, _DAY)[0]))

    def seconds(self) -> float:
        """Tell how long a job of the pool runs on average."""
        found = [self.usual(name) for name in self._queues]
        arrivals = sum(each.arrivals for each in found)
        return sum(each.arrivals * each.seconds for each in found) / arrivals if arrivals else 1.0

    def rule(self) -> float:
        """Give what the rate rule says of the whole pool."""
        queues = (queue.trail for queue in self._queues.values() if len(queue.trail))
        return sum(float(rate_rule(trail, np.array([len(trail) - 1]))[0]) for trail in queues)

    def outlook(self, model: Demand | None, version: str, level: float) -> tuple[Outlook, Floats, dict[str, Foretold]]:
        """Foretell the whole pool.

        :param level: the share of times in which what is foretold is to suffice.
        :returns: what is needed, the quantiles of the most from now on until a worker that is asked for now is the
            newest, and what is foretold of each queue.
        """
        found = {name: self._foretell(queue, model) for name, queue in self._queues.items() if len(queue.trail)}
        rule = sum(each.rule for each in found.values())
        why = self._why_not(model)
        later, kept = (_together([getattr(each, name) for each in found.values()]) for name in ("later", "kept"))
        if why:
            return Outlook(rule, rule, float(later[_MEDIAN]), rule, "rule", why), kept, found
        # What was let go too early costs its start as well as the wait.
        levels = (level, level + _KEPT * (1.0 - level))
        said = [float(at_level(each, one)) for each, one in zip((later, kept), levels, strict=True)]
        return Outlook(said[0], said[1], float(kept[_MEDIAN]), rule, version), kept, found

    def chance_above(self, quantiles: Floats, places: int) -> float:
        """Give the chance that more places are needed than there are."""
        return chance_above(quantiles, places)

    def _why_not(self, model: Demand | None) -> str:
        """Say why the rule decides, nothing when the model does."""
        if model is None:
            return "No model is in force: the rate rule decides."
        if model.step != self.view.step or model.ahead != self.view.ahead:
            return "The model in force looks ahead otherwise than the settings say: the rate rule decides."
        for name, queue in self._queues.items():
            complaint = queue.correction.complaint()
            if complaint:
                return f"On {name}, {complaint}: the rate rule decides."
        return ""

    def _foretell(self, queue: _Queue, model: Demand | None) -> Foretold:
        row = np.array([len(queue.trail) - 1])
        rule = float(rate_rule(queue.trail, row)[0])
        if model is None or len(queue.trail) * self.view.step < _LEAST_SECONDS:
            flat = np.full(len(LEVELS), rule)
            return Foretold(flat, flat, rule)
        told = model.foretell(queue.trail, row)
        queue.correction.note(int(row[0]), told, rule)
        said = corrected(told, queue.correction.shifts(model))
        return Foretold(said.later[0], said.kept[0], rule)


def _together(quantiles: list[Floats]) -> Floats:
    """Give the quantiles of a sum of what varies independently, as if their spreads were those of normal variables."""
    if not quantiles:
        return np.zeros(len(LEVELS))
    table = np.stack(quantiles)
    medians = table[:, _MEDIAN : _MEDIAN + 1]
    return np.asarray(medians.sum() + np.sqrt(((table - medians) ** 2).sum(axis=0)))
