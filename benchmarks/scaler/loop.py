"""The closed loop on one window of a trace: each policy faces the same jobs, taught by what came before alone.

Hours of servers are counted in two ways. Those that are paid begin when a server is asked for; those that are up, when
it takes jobs. The notes which set the goals (rate x1.4: 9,093 hours, x1.7: 11,015, Google, days 10 to 14) counted the
latter: with jobs cut at 600 s, a decision a minute and the mean length of the jobs that ended within a day, the rule
has 9,093 and 11,009 hours up, and 9,567 and 11,588 paid. What they say of violations (1.9 and 0.8 %; here 3.5 and
0.6 %) was not reproduced by any order of the queue or any way to let servers go that was tried.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.scaler.traces import Trace
from jobplatform.learning.demand import Demand
from jobplatform.learning.demand_training import train
from jobplatform.learning.rate_rule import RESERVE
from jobplatform.learning.view import Ahead
from jobplatform.workers.policies import ByForecast, ByRate, Foreseen
from jobplatform.workers.scaling import Bounds
from jobplatform.workers.simulation import Arrival, Policy, Site, simulate

DAY = 86_400.0
#: Seconds to start a server, and that a job may wait.
START, SLO = 180.0, 30.0
STEP = 30.0
#: The horizon is the product's.
AHEAD = Ahead(START, STEP, 300.0)
#: What is learned from, and what happens under a policy before anything counts, in days.
PAST, WARM = 14.0, 1.1
RESERVES = (1.4, 1.5, 1.7)
#: A late job costs as much as a server for so many hours: what the product has it cost.
LATE_COST = 0.7
BOUNDS = Bounds(least=1, most=1_000_000, slots=1, cooldown=0.0, slo=SLO)


@dataclass(frozen=True, slots=True)
class Line:
    """How one policy did: the share of the jobs that waited too long, and the hours of servers.

    :param hours: that were paid, from when a server was asked for; ``up_hours`` of those that took jobs.
    """

    violations: float
    hours: float
    up_hours: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Window:
    """All policies on the same days.

    :param decided: how often the model decided, and how often the rule did.
    """

    days: tuple[float, float]
    jobs: int
    busy_hours: float
    lines: dict[str, Line]
    decided: dict[str, int]
    train_seconds: float
    metrics: dict[str, float]


def taught(trace: Trace, until: float, seed: int) -> tuple[Demand, dict[str, float], float]:
    """Train on the days before one; returns the model, how it did on the last of them, and how long it took."""
    began = time.perf_counter()
    trained = train([trace.trail(max(0.0, until - PAST) * DAY, until * DAY, STEP, START + STEP)], AHEAD, seed)
    return trained.model, dict(trained.metrics), time.perf_counter() - began


def site_of(trace: Trace, arrivals: Sequence[Arrival], since: float, until: float) -> Site:
    """Begin with as many servers as the work takes on average."""
    work = sum(each.seconds for each in arrivals) / (WARM + until - since) / DAY
    return Site(1, START, STEP, first=max(1, round(work)), coming=_coming(trace))


def _coming(trace: Trace) -> Callable[[float], float | None]:
    """Tell what is known to come, of a trace of which that is known."""
    if trace.rhythm is None:
        return lambda at: None
    edges = np.arange(0.0, trace.came[-1] + DAY, STEP)
    counts = trace.coming(edges, START + STEP).tolist()
    return lambda at: counts[round(at / STEP)]


def run(trace: Trace, since: float, until: float, seed: int) -> Window:
    """Run all policies on some days."""
    model, metrics, seconds = taught(trace, since, seed)
    arrivals = trace.arrivals((since - WARM) * DAY, until * DAY)
    counted = [each for each in arrivals if each.at >= since * DAY]
    site = Site(
        1,
        START,
        STEP,
        first=max(1, round(len(arrivals) * 1.5 / (WARM + until - since) / DAY * 300)),
        coming=_coming(trace),
    )
    forecast = ByForecast(BOUNDS, AHEAD, LATE_COST, model)
    policies: dict[str, Policy] = {f"rate x{factor}": ByRate(BOUNDS, AHEAD, factor / RESERVE) for factor in RESERVES}
    policies |= {"forecast": forecast, "future known": Foreseen(BOUNDS, site, arrivals)}
    lines = {}
    for name, policy in policies.items():
        began = time.perf_counter()
        ran = simulate(arrivals, policy, site, since * DAY, until * DAY)
        lines[name] = Line(ran.missed(SLO), ran.worker_hours, ran.up_hours, time.perf_counter() - began)
    busy = sum(each.seconds for each in counted) / 3600.0
    return Window((since, until), len(counted), busy, lines, forecast.decided, seconds, metrics)
