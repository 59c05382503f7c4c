"""Doomed retries that would have been cut, and successes that this would have lost, window by window.

A model is trained anew with each of ``STEPS`` parts of a trace from what was known by then, as the product does it
after so many outcomes. Below which chance a retry is cut follows from what was foretold of retries that had succeeded
by then: at most ``LOST`` of these may lie below (an order statistic, as in conformal prediction: V. Vovk, A.
Gammerman, G. Shafer, "Algorithmic Learning in a Random World", 2005), and it is never above ``MOST``. Of a job (the
second level) that has not failed ``OWN`` times since it succeeded nothing is cut at all: as with the product's cold
start, too little is known of it. A first attempt that failed counts for a third of a retry that did.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.traces.splits import known_by
from benchmarks.traces.trace import Trace
from jobplatform.learning.baselines import outcomes
from jobplatform.learning.model import matrix
from jobplatform.learning.scores import Floats
from jobplatform.learning.training import WHOLE, train, weights_of

#: The first of these windows is the cold start, in which a model has been taught by little or nothing.
WINDOWS, STEPS = 6, 24
LOST, MOST, OWN = 0.005, 0.05, 5
_FIRST = 1 / 3
#: Successes whose forecasts are known before anything is cut.
ENOUGH = 20


@dataclass(frozen=True, slots=True)
class Window:
    """What cutting came to in one window.

    :param cut: the share of the doomed retries.
    :param lost: the share of the successes.
    :param cut_weighted: as ``cut``, with a job of many counting by the square root of their number beyond some.
    :param cut_for_good: as ``cut`` where nothing of a task is tried again once a retry of it was cut.
    """

    retries: int
    successes: int
    cut: float
    lost: float
    cut_weighted: float
    lost_weighted: float
    cut_for_good: float
    lost_for_good: float
    attempts_rule_cut: float
    attempts_rule_lost: float


def windows(trace: Trace, seed: int) -> list[Window]:
    """Cut along a trace; the first window is the cold start."""
    came = outcomes(trace.examples())
    cut = _cut(trace, seed)
    ruled = _ruled(trace, came)
    place = np.minimum(np.arange(len(trace)) * WINDOWS // len(trace), WINDOWS - 1)
    weights = weights_of(trace.examples())
    good = _for_good(trace, cut)
    return [_window(place == each, came, cut, ruled, good, weights) for each in range(WINDOWS)]


def _cut(trace: Trace, seed: int) -> Floats:
    examples = trace.examples()
    came, said = outcomes(examples), np.full(len(trace), np.nan)
    known = np.array([retry.known for retry in trace.retries])
    retried = np.array([each.features[f"{trace.levels[1]}.failures"] or 0.0 for each in examples])
    own = np.maximum(retried, np.array(trace.fails) * _FIRST)
    cut = np.zeros(len(trace))
    step = -(-len(trace) // STEPS)
    for begins in range(step, len(trace), step):
        part = slice(begins, begins + step)
        model = train(known_by(trace, examples, begins), seed).model
        raw = model.following.booster.inplace_predict(
            matrix([each.features for each in examples[part]], model.features)
        )
        # What may not be cut cannot be lost either.
        said[part] = np.where(own[part] < OWN, 1.0, raw)
        settled = (known[:begins] < trace.retries[begins].decided) & (came[:begins] > 0.5) & ~np.isnan(said[:begins])
        cut[part] = said[part] < bound(said[:begins][settled])
    return cut


def bound(of_successes: Floats) -> float:
    """Give the chance below which a retry is cut, from what was foretold of retries that succeeded."""
    if len(of_successes) < ENOUGH:
        return 0.0
    allowed = int(LOST * (len(of_successes) + 1))
    return min(MOST, float(np.sort(of_successes)[max(0, allowed - 1)]))


def _ruled(trace: Trace, came: Floats) -> Floats:
    """Cut by the best rule: from the attempt on that loses few enough of the successes of the first window."""
    attempts = np.array([retry.attempt for retry in trace.retries])
    first = attempts[: len(trace) // WINDOWS][came[: len(trace) // WINDOWS] > 0.5]
    last = float(np.quantile(first, 1.0 - LOST, method="higher")) if len(first) else np.inf
    return np.asarray(attempts > last, dtype=np.float64)


def _for_good(trace: Trace, cut: Floats) -> Floats:
    given_up: set[str] = set()
    found = np.zeros(len(trace))
    for place, retry in enumerate(trace.retries):
        task = str(retry.groups[trace.levels[0]])
        if cut[place]:
            given_up.add(task)
        found[place] = task in given_up
    return found


def _window(part: Floats, came: Floats, cut: Floats, ruled: Floats, good: Floats, weights: Floats) -> Window:
    doomed, succeeded = part & (came < 0.5), part & (came > 0.5)  # type: ignore[operator]
    return Window(
        int(part.sum()), int(succeeded.sum()), _share(cut[doomed]), _share(cut[succeeded]),
        _share(cut[doomed], weights[doomed]), _share(cut[succeeded], weights[succeeded]),
        _share(good[doomed]), _share(good[succeeded]), _share(ruled[doomed]), _share(ruled[succeeded]),
    )  # fmt: skip


def _share(flags: Floats, weights: Floats | None = None) -> float:
    return float(np.average(flags, weights=weights)) if len(flags) else 0.0


#: How a report says it.
WEIGHTING = f"weight min(1, sqrt({WHOLE} / retries of its job))"
