"""Whether it is told ahead that a queue which is calm now will be congested, under a fixed number of servers.

Congested is a queue whose first job has waited for longer than it may. The servers are so many that they would have
sufficed for a share of the days before. The rule without learning ranks by how many jobs run and wait now.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.scaler.loop import DAY, PAST, SLO, START, STEP, WARM
from benchmarks.scaler.traces import Trace
from jobplatform.learning.demand import chance_above
from jobplatform.learning.demand_training import train
from jobplatform.learning.scores import Floats, average_precision
from jobplatform.learning.trail import Steps, Trail
from jobplatform.learning.view import Ahead
from jobplatform.workers.simulation import Site, fixed, simulate

MINUTES = (5, 10)
#: The share of the time before in which there would have been enough servers.
ENOUGH = 0.9


@dataclass(frozen=True, slots=True)
class Onset:
    """How well it was told, as average precision.

    :param base_rate: how often a calm queue became congested.
    """

    minutes: int
    servers: int
    calm: int
    base_rate: float
    congested: float
    rule: float
    model: float


def onset(trace: Trace, since: float, until: float, minutes: int, seed: int) -> Onset:
    """Teach with the days before, and rank the calm moments of a window."""
    past = trace.trail(max(0.0, since - PAST) * DAY, since * DAY, STEP, minutes * 60.0)
    model = train([past], Ahead(0.0, minutes * 60.0), seed).model
    servers = int(np.quantile(past.present, ENOUGH))
    arrivals = trace.arrivals((since - WARM) * DAY, until * DAY)
    ran = simulate(arrivals, fixed(servers), Site(1, START, STEP, servers), since * DAY, until * DAY)
    trail = Trail.of(ran.samples, STEP)
    rows, yes, congested = _calm(trail, since, round(minutes * 60.0 / STEP))
    told = model.foretell(trail, rows)
    chances = np.array([chance_above(each, servers) for each in told.later])
    rule, ours = (average_precision(yes, each) for each in (trail.present[rows], chances))
    return Onset(minutes, servers, len(rows), float(yes.mean()), congested, rule, ours)


def _calm(trail: Trail, since: float, steps: int) -> tuple[Steps, Floats, float]:
    """Give the calm moments of the time that counts, and which of them were followed by congestion."""
    late = trail.oldest > SLO
    rows = np.flatnonzero((trail.times >= since * DAY) & ~late)
    rows = rows[rows < len(trail) - steps]
    ahead = np.lib.stride_tricks.sliding_window_view(late, steps)[rows + 1]
    yes = np.asarray(ahead.any(axis=1), dtype=np.float64)
    return rows.astype(np.int64), yes, float(np.mean(late[trail.times >= since * DAY]))
