"""Whether it is told ahead that a queue which is calm now will be congested, while the rate rule scales its servers.

Congested is a queue whose first job has waited for longer than it may. The rule without learning ranks moments by how
many jobs run and wait; a better one by how many these are beside the servers, which the model is told as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.scaler.loop import AHEAD, BOUNDS, DAY, PAST, SLO, STEP, WARM, site_of
from benchmarks.scaler.traces import Trace
from jobplatform.learning.demand import chance_above
from jobplatform.learning.demand_training import train
from jobplatform.learning.rate_rule import RESERVE
from jobplatform.learning.scores import Floats, average_precision
from jobplatform.learning.trail import Steps, Trail
from jobplatform.learning.view import Ahead
from jobplatform.workers.policies import ByRate
from jobplatform.workers.simulation import simulate

MINUTES = (5, 10)
#: The reserve of the rule that scales.
UNDER = 1.4


@dataclass(frozen=True, slots=True)
class Onset:
    """How well it was told, as average precision.

    :param base_rate: how often a calm queue became congested.
    :param congested: the share of all moments.
    """

    minutes: int
    calm: int
    base_rate: float
    congested: float
    busy_and_backlog: float
    beside_servers: float
    model: float


def onset(trace: Trace, since: float, until: float, minutes: int, seed: int) -> Onset:
    """Teach with the days before, and rank the calm moments of a window."""
    past = trace.trail(max(0.0, since - PAST) * DAY, since * DAY, STEP, minutes * 60.0)
    model = train([past], Ahead(0.0, minutes * 60.0), seed).model
    arrivals = trace.arrivals((since - WARM) * DAY, until * DAY)
    site = site_of(trace, arrivals, since, until)
    ran = simulate(arrivals, ByRate(BOUNDS, AHEAD, UNDER / RESERVE), site, since * DAY, until * DAY)
    trail = Trail.of(ran.samples, STEP)
    rows, yes, congested = _calm(trail, since, round(minutes * 60.0 / STEP))
    told, servers = model.foretell(trail, rows), np.array(ran.workers)[rows]
    chances = np.array([chance_above(*each) for each in zip(told.later, servers, strict=True)])
    jobs = trail.present[rows]
    found = (average_precision(yes, each) for each in (jobs, jobs / servers, chances))
    return Onset(minutes, len(rows), float(yes.mean()), congested, *found)


def _calm(trail: Trail, since: float, steps: int) -> tuple[Steps, Floats, float]:
    """Give the calm moments of the time that counts, and which of them were followed by congestion."""
    late = trail.oldest > SLO
    rows = np.flatnonzero((trail.times >= since * DAY) & ~late)
    rows = rows[rows < len(trail) - steps]
    ahead = np.lib.stride_tricks.sliding_window_view(late, steps)[rows + 1]
    yes = np.asarray(ahead.any(axis=1), dtype=np.float64)
    return rows.astype(np.int64), yes, float(np.mean(late[trail.times >= since * DAY]))
